package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// This file keeps the house in order. It parses sources itself: a test that
// shells out to `go list` is cached although the sources have changed.

const module = "earshot"

type source struct {
	path string // slash-separated, from the root of the repository
	pkg  string // its directory, likewise
	test bool
	ast  *ast.File
	text []byte
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	dir, fset := root(t), token.NewFileSet()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && p != dir) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, p, text, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		out = append(out, source{rel, path.Dir(rel), strings.HasSuffix(rel, "_test.go"), f, text})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 50 {
		t.Fatalf("found only %d sources; is this the whole repository?", len(out))
	}
	return out
}

// rule says what a package may import of the house, and what of the world it may
// not. The longest matching prefix counts.
type rule struct {
	from  string
	may   []string // prefixes of our own packages
	never []string // prefixes of anybody's
}

var outside = []string{"net", "os", "database/sql", "github.com/libp2p", "github.com/ncruces", "github.com/grandcat", "charm.land"}

var rules = []rule{
	{from: "chat", may: nil, never: outside},
	{from: "chat/identity", may: []string{"chat"}, never: outside},
	{from: "chat/wire", may: []string{"chat", "chat/identity"}, never: outside},
	{from: "chat/room", may: []string{"chat", "chat/wire", "chat/identity", "chat/content"}, never: outside},
	{from: "chat/content", may: []string{"chat", "chat/wire"}, never: outside},
	{from: "chat/membership", may: []string{"chat", "chat/wire"}, never: outside},
	{from: "chat/seal", may: []string{"chat", "chat/wire", "chat/identity"}, never: outside},
	{from: "chat/private", may: []string{"chat", "chat/wire", "chat/identity", "chat/seal", "chat/membership"}, never: outside},
	{from: "chat/contacts", may: []string{"chat", "chat/wire", "chat/identity"}, never: outside},
	{from: "chat/profile", may: []string{"chat", "chat/wire", "chat/contacts"}, never: outside},
	{from: "chat/receipt", may: []string{"chat", "chat/wire"}, never: outside},
	{from: "chat/presence", may: []string{"chat", "chat/wire", "chat/identity"}, never: outside},
	{from: "chat/catchup", may: []string{"chat", "chat/wire", "chat/identity"}, never: outside},
	{from: "chat/alert", may: []string{"chat"}, never: outside},
	{from: "chat/courier", may: []string{"chat", "chat/wire", "chat/identity"}, never: outside},
	{from: "chat/phrase", may: []string{"chat"}, never: outside},
	{from: "chat/chattest", may: []string{"chat"}, never: outside},
	{from: "discovery", may: nil},
	{from: "discovery/mdns", may: []string{"discovery"}},
	{from: "node/host", may: []string{"chat"}, never: []string{"database/sql", "github.com/ncruces"}},
	{from: "node/gossip", may: []string{"chat"}, never: []string{"database/sql", "github.com/ncruces"}},
	{from: "node/stream", may: []string{"chat"}, never: []string{"database/sql", "github.com/ncruces"}},
	{from: "node/store", may: []string{"chat", "chat/wire", "chat/content"}, never: []string{"github.com/libp2p", "net"}},
	{from: "node/disktest", may: nil},
	{from: "node/keyring", may: []string{"chat", "chat/identity"}, never: []string{"github.com/libp2p", "net"}},
	{from: "node/desktop", may: []string{"chat"}, never: []string{"github.com/libp2p", "github.com/ncruces", "database/sql"}},
	{from: "node/feed", may: []string{"chat"}, never: outside},
	{from: "node/api", may: []string{"chat", "node/feed"}, never: []string{"github.com/libp2p", "github.com/ncruces"}},
	{from: "node/api/client", may: []string{"chat", "node/api"}, never: []string{"github.com/libp2p", "github.com/ncruces"}},
	{from: "node/api/apitest", may: []string{"chat", "node/api", "node/feed"}},
	{from: "node/sim", may: []string{"chat", "discovery", "node"}},
	{from: "node/lab", may: []string{"chat"}, never: []string{"github.com/libp2p", "github.com/ncruces"}},
	{from: "node", may: []string{"chat", "discovery", "node"}},
	{from: "cmd/earshot/qrcode", may: []string{"chat"}, never: outside},
	{from: "cmd/earshot/wording", may: []string{"chat"}, never: outside},
	{from: "cmd/earshot/tui", may: []string{"chat", "node/api/client", "cmd/earshot/qrcode", "cmd/earshot/wording"}, never: []string{"github.com/libp2p", "github.com/ncruces", "net"}},
	{from: "cmd/earshot/demo", may: []string{"chat", "node", "node/sim"}},
	{from: "cmd/earshot", may: []string{"chat", "node", "cmd/earshot"}},
	{from: "cmd/dev/floor", may: nil}, // what Earshot is measured against holds nothing of it
	{from: "cmd/dev", may: []string{"chat", "node", "cmd/earshot/tui", "discovery", "cmd/dev"}},
}

func ruleFor(pkg string) *rule {
	var best *rule
	for i := range rules {
		if under(pkg, rules[i].from) && (best == nil || len(rules[i].from) > len(best.from)) {
			best = &rules[i]
		}
	}
	return best
}

func under(pkg, prefix string) bool { return pkg == prefix || strings.HasPrefix(pkg, prefix+"/") }

func TestImportsPointDownwards(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		r := ruleFor(s.pkg)
		if r == nil {
			t.Errorf("%s: package %s has no import rule; give it one in cmd/dev/house_test.go", s.path, s.pkg)
			continue
		}
		for _, spec := range s.ast.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if own, ok := strings.CutPrefix(p, module+"/"); ok {
				allowed := slices.ContainsFunc(r.may, func(m string) bool { return under(own, m) }) || own == s.pkg
				if !allowed {
					t.Errorf("%s imports %s, which %s may not", s.path, own, r.from)
				}
				continue
			}
			if slices.ContainsFunc(r.never, func(n string) bool { return under(p, n) }) {
				t.Errorf("%s imports %s, which %s may not", s.path, p, r.from)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	said := map[string]int{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		said[s.pkg] += 0
		if doc := s.ast.Doc.Text(); doc != "" {
			said[s.pkg]++
			if name := s.ast.Name.Name; name != "main" && !strings.HasPrefix(doc, "Package "+name+" ") {
				t.Errorf("%s: the package comment begins with %.30q", s.path, doc)
			}
		}
	}
	for pkg, n := range said {
		if n != 1 {
			t.Errorf("package %s has %d package comments, want exactly one", pkg, n)
		}
	}
}

func TestNoFileBecomesAGiant(t *testing.T) {
	const most = 700
	for _, s := range sources(t) {
		if n := bytes.Count(s.text, []byte("\n")); n > most {
			t.Errorf("%s has %d lines, over %d: find the seam", s.path, n, most)
		}
	}
}

func TestNoPackageIsADrawerForEverything(t *testing.T) {
	for _, s := range sources(t) {
		switch s.ast.Name.Name {
		case "types", "common", "util", "utils", "sync", "log", "helpers", "misc":
			t.Errorf("%s: a package called %s says nothing about what is in it", s.path, s.ast.Name.Name)
		}
	}
}

var specRef = regexp.MustCompile(`\b((?:chat|discovery)/)?(PROTOCOL|THREATS)\.md#([a-z0-9-]+)`)

// A reference from code into the specification must lead somewhere.
func TestReferencesIntoTheSpecificationHold(t *testing.T) {
	dir := root(t)
	anchors := map[string]map[string]bool{}
	for _, doc := range []string{"chat/PROTOCOL.md", "chat/THREATS.md", "discovery/PROTOCOL.md"} {
		text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(doc)))
		if err != nil {
			t.Fatal(err)
		}
		anchors[doc] = map[string]bool{}
		for _, line := range strings.Split(string(text), "\n") {
			if strings.HasPrefix(line, "#") {
				anchors[doc][anchor(strings.TrimLeft(line, "# "))] = true
			}
		}
	}
	for _, s := range sources(t) {
		for _, m := range specRef.FindAllStringSubmatch(string(s.text), -1) {
			dir := m[1]
			if dir == "" {
				dir = "chat/"
				if under(s.pkg, "discovery") {
					dir = "discovery/"
				}
			}
			if doc := dir + m[2] + ".md"; !anchors[doc][m[3]] {
				t.Errorf("%s refers to %s#%s, which is not there", s.path, doc, m[3])
			}
		}
	}
}

// anchor makes of a heading what a browser of the repository makes of it.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '-':
			return '-'
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_':
			return r
		}
		return -1
	}, strings.ToLower(heading))
}

var testName = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)`")

// What a document says is shown by a test must have that test.
func TestDocumentsNameTestsThatExist(t *testing.T) {
	have := map[string]bool{}
	for _, s := range sources(t) {
		for _, d := range s.ast.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && s.test && f.Recv == nil {
				have[f.Name.Name] = true
			}
		}
	}
	dir := root(t)
	for _, doc := range []string{"README.md", "chat/PROTOCOL.md", "chat/THREATS.md", "discovery/PROTOCOL.md"} {
		text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(doc)))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range testName.FindAllStringSubmatch(string(text), -1) {
			if !have[m[1]] {
				t.Errorf("%s names %s, which is not there", doc, m[1])
			}
		}
	}
}
