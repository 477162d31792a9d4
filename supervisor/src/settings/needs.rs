//! Who needs whom: every name must mean somebody, nobody may need himself, and chains stay short — pure.
//!
//! Roles count with their template, so that `scale` cannot make a circle later that is none yet.

use std::collections::BTreeMap;
use std::ops::Range;

use tachi_shared::id::Role;

use super::instance::Origin;
use super::near::near;
use super::{Spec, file::InstanceTable};
use crate::error::Result;

/// Longest chain: whoever needs more has lost the overview.
pub(super) const DEPTH_MAX: usize = 32;

/// One instance, or the template of a role.
struct Node<'a> {
    name: String,
    spec: &'a Spec,
    is_template: bool,
}

/// Refuses unknown names, circles and chains that are too long, each at its line.
pub(super) fn check(specs: &[Spec], templates: &[Spec], origin: &Origin) -> Result<()> {
    if specs.iter().chain(templates).all(|spec| spec.needs.is_empty()) {
        return Ok(());
    }
    let own = specs.iter().map(|spec| Node { name: spec.id.to_string(), spec, is_template: false });
    let roles = templates.iter().skip(1).map(|spec| Node {
        name: format!("role {}", spec.role),
        spec,
        is_template: true,
    });
    let nodes: Vec<Node<'_>> = own.chain(roles).collect();
    nodes.iter().try_for_each(|node| known(node, &nodes, origin))?;
    let mut depths = BTreeMap::new();
    for index in 0..nodes.len() {
        depth(index, &nodes, &mut Vec::new(), &mut depths, origin)?;
    }
    Ok(())
}

/// The nodes a name means.
fn meant<'n>(name: &'n str, nodes: &'n [Node<'_>]) -> impl Iterator<Item = usize> + 'n {
    let is_id = nodes.iter().any(|node| !node.is_template && node.spec.id.as_str() == name);
    let means = move |node: &Node<'_>| {
        if is_id {
            !node.is_template && node.spec.id.as_str() == name
        } else {
            node.spec.role.as_str() == name
        }
    };
    nodes.iter().enumerate().filter(move |(_, node)| means(node)).map(|(index, _)| index)
}

fn known(node: &Node<'_>, nodes: &[Node<'_>], origin: &Origin) -> Result<()> {
    for name in &node.spec.needs {
        if meant(name, nodes).next().is_some() {
            continue;
        }
        let names = nodes.iter().flat_map(|node| [node.spec.id.as_str(), node.spec.role.as_str()]);
        let hint = match near(name, names.filter(|name| *name != "template")).as_slice() {
            [] => "name an id or a role of this configuration".to_owned(),
            close => format!("did you mean {}?", close.join(" or ")),
        };
        let reason = format!("{} needs {name:?}, which is neither an instance nor a role", node.name);
        return Err(origin.refuse(span(node.spec, name, origin), &reason, &hint));
    }
    Ok(())
}

/// How many stand behind a node at most; `path` leads to it.
fn depth(
    index: usize,
    nodes: &[Node<'_>],
    path: &mut Vec<usize>,
    depths: &mut BTreeMap<usize, usize>,
    origin: &Origin,
) -> Result<usize> {
    if let Some(known) = depths.get(&index) {
        return Ok(*known);
    }
    let Some(node) = nodes.get(index) else { return Ok(0) };
    path.push(index);
    let mut deepest = 0;
    for name in &node.spec.needs {
        for next in meant(name, nodes) {
            if let Some(start) = path.iter().position(|at| *at == next) {
                let circle = words(path.iter().skip(start).chain([&next]), nodes);
                let reason = format!("needs in a circle: {circle}");
                let at = span(node.spec, name, origin);
                return Err(origin.refuse(at, &reason, "take one of these needs out"));
            }
            deepest = deepest.max(depth(next, nodes, path, depths, origin)? + 1);
        }
        if deepest > DEPTH_MAX {
            let reason = format!("the chain of needs behind {} is longer than {DEPTH_MAX}", node.name);
            return Err(origin.refuse(span(node.spec, name, origin), &reason, "let some start together"));
        }
    }
    path.pop();
    depths.insert(index, deepest);
    Ok(deepest)
}

fn words<'a>(path: impl Iterator<Item = &'a usize>, nodes: &[Node<'_>]) -> String {
    let names = path.filter_map(|index| nodes.get(*index)).map(|node| node.name.as_str());
    names.collect::<Vec<_>>().join(" -> ")
}

/// Where the file says that this one needs `name`.
fn span(spec: &Spec, name: &str, origin: &Origin) -> Range<usize> {
    let file = &origin.file;
    let own = file.instances.iter().map(|table| table.get_ref()).filter(|table| is_of(table, spec));
    let role: Option<&InstanceTable> = file.roles.get(&spec.role as &Role).map(|table| table.get_ref());
    let needs = own.chain(role).flat_map(|table| table.needs.iter().flatten());
    needs.into_iter().find(|need| need.get_ref() == name).map_or(0..0, |need| need.span())
}

fn is_of(table: &InstanceTable, spec: &Spec) -> bool {
    let ids = table.id.iter().chain(table.names.iter().flatten());
    ids.into_iter().any(|id| *id.get_ref() == spec.id)
}
