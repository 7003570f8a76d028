#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every link of the documentation leads somewhere: files exist, and so do the headings that are named in them. Nothing is
asked of the network: of a link to another host only the form is looked at."""
import pathlib
import re
import subprocess
import sys
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^(```|~~~).*?^\1[`~]*\s*?$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)")
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
DEFINITION = re.compile(r"^\s{0,3}\[[^\]]+\]:\s+<?(\S+?)>?\s*$", re.MULTILINE)
HTML = re.compile(r"<(?:a|img|source)\b[^>]*?\b(?:href|src|srcset)=\"([^\"]+)\"")
HEADING = re.compile(r"^#{1,6} +(.+?)(?: +#+)?\s*$", re.MULTILINE)
ANCHOR = re.compile(r"<a\b[^>]*?\b(?:id|name)=\"([^\"]+)\"")


def pages():
    """The documentation as it is kept: what is ignored, as a build, is not looked at."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "--", "*.md"], cwd=ROOT, check=False,
                            capture_output=True, text=True)
    names = listed.stdout.splitlines() if listed.returncode == 0 else [
        str(path.relative_to(ROOT)) for path in ROOT.rglob("*.md") if "build" not in path.relative_to(ROOT).parts]
    return [ROOT / name for name in sorted(names) if (ROOT / name).exists()]


def without_code(text):
    return CODE.sub("", FENCE.sub("", text))


def anchors(text):
    """What GitHub makes of the headings: small letters, spaces to dashes, punctuation gone, a number on the second one."""
    found = set(ANCHOR.findall(text))
    seen = {}
    for heading in HEADING.findall(FENCE.sub("", text)):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        seen[name] = seen.get(name, -1) + 1
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
    return found


def links(text):
    prose = without_code(text)
    return [*LINK.findall(prose), *DEFINITION.findall(prose), *HTML.findall(prose)]


def problem(page, link, kept):
    """Why a link of this page leads nowhere; nothing where it leads somewhere."""
    parts = urllib.parse.urlsplit(link)
    if parts.scheme or link.startswith("//"):
        return None if parts.scheme in ("https", "http", "mailto") and (parts.netloc or parts.path) else "is no address"
    path = urllib.parse.unquote(parts.path)
    target = (page.parent / path).resolve() if path else page
    if not target.is_relative_to(ROOT):
        return "leads out of the repository"
    if not target.exists():
        return "does not exist"
    if parts.fragment and target.suffix == ".md":
        if target not in kept:
            kept[target] = anchors(target.read_text())
        if urllib.parse.unquote(parts.fragment) not in kept[target]:
            return "has no such heading"
    return None


def self_test():
    text = "# A `b` c: d\n\n## Twice\n\n## Twice\n\n```\n# no heading\n[x](nowhere)\n```\n[a](b.md) `[x](y)` ![p](q.svg)\n"
    assert anchors(text) == {"a-b-c-d", "twice", "twice-1"}, anchors(text)
    assert links(text) == ["b.md", "q.svg"], links(text)
    assert problem(ROOT / "README.md", "no-such-file.md", {}) == "does not exist"
    assert problem(ROOT / "README.md", "README.md#no-such-heading", {}) == "has no such heading"
    assert problem(ROOT / "README.md", "../outside", {}) == "leads out of the repository"


def main():
    self_test()
    problems, number, kept, linked = [], 0, {}, {ROOT / "README.md"}
    for page in pages():
        for link in links(page.read_text()):
            number += 1
            said = problem(page, link, kept)
            if said:
                problems.append(f"{page.relative_to(ROOT)}: {link} {said}")
            elif not urllib.parse.urlsplit(link).scheme:
                linked.add((page.parent / urllib.parse.unquote(urllib.parse.urlsplit(link).path)).resolve())
    # A page that nobody links to is one that nobody finds.
    problems += [f"{page.relative_to(ROOT)}: no page links to it" for page in pages()
                 if page.is_relative_to(ROOT / "docs") and page not in linked]
    if number < 50:
        problems.append(f"only {number} links were found: has the form of the pages changed?")
    print("\n".join(problems) or f"{number} links, all of them lead somewhere")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
