package main

import (
	"go/ast"
	"go/token"
	"slices"
	"testing"
)

// untested are the limits that no test names, and why that does: each is to be as short
// a list as can be.
var untested = map[string]string{}

// Every bound on what others can fill is enforced somewhere, and a test knows it by its
// name: it goes to the limit, whatever that is by then.
func TestEveryLimitIsEnforcedAndTested(t *testing.T) {
	all := sources(t)
	at := slices.IndexFunc(all, func(s source) bool { return s.path == "chat/limits.go" })
	if at < 0 {
		t.Fatal("chat/limits.go is gone")
	}
	limits := constants(all[at].ast)
	if len(limits) < 50 {
		t.Fatalf("chat/limits.go declares %d constants only: %v", len(limits), limits)
	}
	enforced, tested := map[string]bool{}, map[string]bool{}
	for _, s := range all {
		if s.path == "chat/limits.go" {
			continue
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				enforced[id.Name] = enforced[id.Name] || !s.test
				tested[id.Name] = tested[id.Name] || s.test
			}
			return true
		})
	}
	for _, name := range limits {
		if !enforced[name] {
			t.Errorf("chat.%s is enforced nowhere", name)
		}
		switch why := untested[name]; {
		case !tested[name] && why == "":
			t.Errorf("no test goes to chat.%s", name)
		case tested[name] && why != "":
			t.Errorf("chat.%s is tested, and listed as untested", name)
		}
	}
}

// constants returns the names of the constants that a file declares.
func constants(f *ast.File) (names []string) {
	for _, d := range f.Decls {
		decl, ok := d.(*ast.GenDecl)
		if !ok || decl.Tok != token.CONST {
			continue
		}
		for _, spec := range decl.Specs {
			for _, id := range spec.(*ast.ValueSpec).Names {
				names = append(names, id.Name)
			}
		}
	}
	return names
}
