package chat

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	citation = regexp.MustCompile("`((?:[a-z]+/)*[a-z]+)\\.((?:Test|Fuzz)[A-Za-z0-9]+)`")
	heading  = regexp.MustCompile(`PROTOCOL\.md#([a-z0-9-]+)`)
)

// The pages promise that behind each MUST and each "cannot" stands a test.
func TestThePagesNameTestsThatExist(t *testing.T) {
	for _, page := range []string{"PROTOCOL.md", "THREATS.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		found := citation.FindAllStringSubmatch(string(text), -1)
		if len(found) < 20 {
			t.Errorf("%s names only %d tests", page, len(found))
		}
		for _, m := range found {
			if dir := directory(m[1]); !declares(t, dir, m[2]) {
				t.Errorf("%s names %s.%s, which is not in %s", page, m[1], m[2], dir)
			}
		}
	}
}

// directory returns where a package of a citation lies.
func directory(pkg string) string {
	switch {
	case pkg == "chat":
		return "."
	case pkg == "node" || strings.Contains(pkg, "/"):
		return filepath.Join("..", pkg)
	}
	return pkg
}

func declares(t *testing.T, dir, test string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nfunc "+test+"(") {
			return true
		}
	}
	return false
}

// Comments that point into the specification must point at a heading.
func TestReferencesToTheSpecificationLeadSomewhere(t *testing.T) {
	text, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	anchors := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if title := strings.TrimLeft(line, "#"); title != line {
			slug := strings.ToLower(strings.TrimSpace(title))
			slug = regexp.MustCompile(`[^\pL\pN -]`).ReplaceAllString(slug, "")
			anchors[strings.ReplaceAll(slug, " ", "-")] = true
		}
	}
	files, err := filepath.Glob("*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range heading.FindAllStringSubmatch(string(code), -1) {
			if found++; !anchors[m[1]] {
				t.Errorf("%s points at PROTOCOL.md#%s, which has no heading", file, m[1])
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d references", found)
	}
}
