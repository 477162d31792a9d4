//! Which instances a selector means: an id, a role, a glob over ids (`*` and `?`), or `all`.

use tachi_shared::id::InstanceId;

use super::state::Fleet;

impl Fleet {
    /// The instances meant, in start order, without doubles.
    ///
    /// # Errors
    /// The selectors that mean nobody.
    pub(super) fn select(&self, selectors: &[String]) -> Result<Vec<InstanceId>, Vec<String>> {
        let unknown: Vec<String> = selectors
            .iter()
            .filter(|selector| *selector != "all" && !self.members().any(|member| means(selector, member)))
            .cloned()
            .collect();
        if !unknown.is_empty() {
            return Err(unknown);
        }
        let meant = |member: &(&InstanceId, &str)| selectors.iter().any(|selector| means(selector, *member));
        Ok(self.members().filter(meant).map(|(id, _)| id.clone()).collect())
    }

    /// Ids and roles of those who stay.
    fn members(&self) -> impl Iterator<Item = (&InstanceId, &str)> {
        self.in_order()
            .filter(|(_, instance)| !instance.leaving)
            .map(|(id, instance)| (id, instance.spec.role.as_str()))
    }
}

fn means(selector: &str, (id, role): (&InstanceId, &str)) -> bool {
    selector == "all" || selector == role || glob(selector.as_bytes(), id.as_str().as_bytes())
}

/// Whole-text match; on a mismatch the last `*` takes one more byte, so the work is bounded by the product of lengths.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted == byte => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                p = at + 1;
                t = taken + 1;
            }
        }
    }
    pattern.iter().skip(p).all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn globs_match_the_whole_id() {
        for (pattern, text, expected) in [
            ("instance_1", "instance_1", true),
            ("instance_1", "instance_12", false),
            ("instance_*", "instance_12", true),
            ("*_2", "instance_2", true),
            ("*_2", "instance_21", false),
            ("i*n*_?", "instance_7", true),
            ("i*n*_?", "instance_77", false),
            ("*", "x", true),
            ("**", "x", true),
            ("?", "", false),
            ("", "", true),
        ] {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} over {text}");
        }
    }
}
