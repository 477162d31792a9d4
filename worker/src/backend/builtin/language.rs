//! Names the language of a file by its name, else by its first line — pure.

use super::path::file_name;

/// Language of files that are not text.
pub(crate) const BINARY: &str = "binary";
/// Language of text that the table does not know.
pub(crate) const OTHER: &str = "other";

/// The language of a text file; `head` is the beginning of its content.
pub(crate) fn of(path: &str, head: &[u8]) -> &'static str {
    let name = file_name(path).to_ascii_lowercase();
    by_name(&name)
        .or_else(|| name.rsplit_once('.').and_then(|(_, extension)| by_extension(extension)))
        .or_else(|| shebang(head))
        .unwrap_or(OTHER)
}

/// Whether files of this language are written as programs, not as data or prose.
pub(crate) fn is_code(language: &str) -> bool {
    !matches!(
        language,
        BINARY
            | OTHER
            | "CSV"
            | "Diff"
            | "HTML"
            | "INI"
            | "JSON"
            | "JSON Lines"
            | "Lock file"
            | "Markdown"
            | "Plain text"
            | "Properties"
            | "SVG"
            | "TOML"
            | "TeX"
            | "XML"
            | "YAML"
            | "AsciiDoc"
            | "reStructuredText"
            | "Git"
    )
}

/// Whether a path says by itself that it is a test.
pub(crate) fn is_test_path(path: &str) -> bool {
    let folder = |name: &str| matches!(name, "test" | "tests" | "__tests__" | "spec" | "specs" | "testdata");
    let name = file_name(path).to_ascii_lowercase();
    let stem = name.split_once('.').map_or(name.as_str(), |(stem, _)| stem);
    path.rsplit_once('/').is_some_and(|(folders, _)| folders.split('/').any(folder))
        || stem.starts_with("test_")
        || stem.ends_with("_test")
        || stem.ends_with("_tests")
        || matches!(stem, "test" | "tests")
        || name.contains(".test.")
        || name.contains(".spec.")
}

fn by_name(name: &str) -> Option<&'static str> {
    Some(match name {
        "makefile" | "gnumakefile" => "Make",
        "dockerfile" | "containerfile" => "Dockerfile",
        "cmakelists.txt" => "CMake",
        "cargo.lock" | "package-lock.json" | "yarn.lock" | "pnpm-lock.yaml" | "poetry.lock" | "go.sum"
        | "gemfile.lock" | "flake.lock" | "uv.lock" | "composer.lock" => "Lock file",
        ".gitignore" | ".gitattributes" | ".gitmodules" | ".mailmap" => "Git",
        "rakefile" | "gemfile" => "Ruby",
        "build" | "build.bazel" | "workspace" => "Starlark",
        "go.mod" => "Go",
        "license" | "copying" | "readme" | "authors" | "notice" | "changelog" | "license-mit"
        | "unlicense" | "license-apache" => "Plain text",
        ".bashrc" | ".profile" | ".zshrc" => "Shell",
        _ => return None,
    })
}

fn by_extension(extension: &str) -> Option<&'static str> {
    program_by_extension(extension).or_else(|| document_by_extension(extension))
}

/// Languages of programs and pages.
fn program_by_extension(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "rs" => "Rust",
        "c" | "h" => "C",
        "cc" | "cpp" | "cxx" | "hpp" | "hh" | "hxx" | "c++" | "h++" | "ipp" | "inl" => "C++",
        "py" | "pyi" | "pyw" => "Python",
        "js" | "mjs" | "cjs" | "jsx" => "JavaScript",
        "ts" | "tsx" | "mts" | "cts" => "TypeScript",
        "go" => "Go",
        "java" => "Java",
        "kt" | "kts" => "Kotlin",
        "swift" => "Swift",
        "m" | "mm" => "Objective-C",
        "cs" => "C#",
        "fs" | "fsx" | "fsi" => "F#",
        "rb" | "rake" | "gemspec" => "Ruby",
        "php" => "PHP",
        "pl" | "pm" | "t" => "Perl",
        "sh" | "bash" | "zsh" | "ksh" | "fish" => "Shell",
        "ps1" | "psm1" => "PowerShell",
        "bat" | "cmd" => "Batch",
        "lua" => "Lua",
        "r" => "R",
        "jl" => "Julia",
        "hs" | "lhs" => "Haskell",
        "ml" | "mli" => "OCaml",
        "ex" | "exs" => "Elixir",
        "erl" | "hrl" => "Erlang",
        "clj" | "cljs" | "cljc" | "edn" => "Clojure",
        "scala" | "sbt" => "Scala",
        "dart" => "Dart",
        "zig" => "Zig",
        "nim" => "Nim",
        "d" => "D",
        "v" | "sv" | "svh" => "Verilog",
        "vhd" | "vhdl" => "VHDL",
        "s" | "asm" => "Assembly",
        "el" | "lisp" | "lsp" | "scm" | "rkt" => "Lisp",
        "vim" => "Vim script",
        "sql" => "SQL",
        "proto" => "Protocol Buffers",
        "graphql" | "gql" => "GraphQL",
        "html" | "htm" | "xhtml" => "HTML",
        "css" => "CSS",
        "scss" | "sass" | "less" => "Sass",
        "vue" => "Vue",
        "svelte" => "Svelte",
        "tf" | "hcl" => "HCL",
        "nix" => "Nix",
        "cmake" => "CMake",
        "mk" | "mak" => "Make",
        "dockerfile" => "Dockerfile",
        "bzl" | "bazel" | "star" => "Starlark",
        "gradle" | "groovy" => "Groovy",
        "awk" => "AWK",
        "tcl" => "Tcl",
        "f" | "f90" | "f95" | "for" => "Fortran",
        "pas" | "pp" => "Pascal",
        "ada" | "adb" | "ads" => "Ada",
        "cu" | "cuh" => "CUDA",
        "glsl" | "vert" | "frag" | "wgsl" | "hlsl" => "Shader",
        "sol" => "Solidity",
        "wat" | "wast" => "WebAssembly text",
        _ => return None,
    })
}

/// Languages of texts, data and settings.
fn document_by_extension(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "ipynb" => "Jupyter",
        "md" | "markdown" | "mdx" => "Markdown",
        "rst" => "reStructuredText",
        "adoc" | "asciidoc" => "AsciiDoc",
        "tex" | "sty" | "cls" | "bib" => "TeX",
        "txt" | "text" => "Plain text",
        "json" | "json5" | "jsonc" | "geojson" => "JSON",
        "jsonl" | "ndjson" => "JSON Lines",
        "yaml" | "yml" => "YAML",
        "toml" => "TOML",
        "xml" | "xsd" | "xsl" | "xslt" | "plist" => "XML",
        "svg" => "SVG",
        "csv" | "tsv" => "CSV",
        "ini" | "cfg" | "conf" => "INI",
        "properties" => "Properties",
        "diff" | "patch" => "Diff",
        "lock" => "Lock file",
        _ => return None,
    })
}

fn shebang(head: &[u8]) -> Option<&'static str> {
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split_ascii_whitespace();
    let program = file_name(words.next()?);
    let program = match program {
        "env" => file_name(words.find(|word| !word.starts_with('-') && !word.contains('='))?),
        program => program,
    };
    let bare = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    Some(match bare {
        "sh" | "bash" | "dash" | "zsh" | "ksh" | "fish" | "ash" => "Shell",
        "python" | "pypy" => "Python",
        "node" | "deno" | "bun" => "JavaScript",
        "perl" => "Perl",
        "ruby" => "Ruby",
        "php" => "PHP",
        "lua" => "Lua",
        "awk" | "gawk" => "AWK",
        "tclsh" | "wish" => "Tcl",
        "Rscript" => "R",
        "make" => "Make",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_first_then_extensions_then_the_first_line() {
        let table: [(&str, &[u8], &str); 12] = [
            ("src/main.rs", b"", "Rust"),
            ("A.RS", b"", "Rust"),
            ("a/Makefile", b"", "Make"),
            ("Cargo.lock", b"", "Lock file"),
            ("CMakeLists.txt", b"", "CMake"),
            ("run", b"#!/bin/sh\n", "Shell"),
            ("run", b"#!/usr/bin/env -S A=1 python3.12 -u\n", "Python"),
            ("run", b"#!/usr/bin/env\n", OTHER),
            ("run", b"#!\xff\n", OTHER),
            ("noextension", b"hello", OTHER),
            (".gitignore", b"", "Git"),
            ("x.unknown", b"#!/usr/bin/perl -w", "Perl"),
        ];
        for (path, head, language) in table {
            assert_eq!(of(path, head), language, "{path}");
        }
    }

    #[test]
    fn tests_are_known_by_folder_or_name() {
        for path in
            ["tests/a.rs", "a/test/b.c", "src/foo_test.go", "test_x.py", "a/b.spec.ts", "src/tests.rs"]
        {
            assert!(is_test_path(path), "{path}");
        }
        for path in ["src/attest.rs", "contest/a.rs", "latest.md", "testing.rs"] {
            assert!(!is_test_path(path), "{path}");
        }
    }
}
