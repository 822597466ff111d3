package main

import (
	"go/ast"
	"go/token"
	"regexp"
	"testing"
)

// untested are the limits that no test of their package names, and why that does.
var untested = map[string]string{
	"chat/seal.AnswerLife":   "a time, and maxOwnEpochs bounds what it keeps",
	"chat/seal.clockSlack":   "a time, which bounds nothing that others fill",
	"chat/seal.wantLife":     "a time, and maxWanted bounds what it keeps",
	"chat/seal.pruneEvery":   "a time, and what it lets stand has bounds",
	"chat/seal.skipBlock":    "how values are cut, of which maxSkipped bounds the number",
	"chat/courier.MaxSpace":  "what a person may choose",
	"chat/courier.packEvery": "a time, which bounds nothing that others fill",

	"chat/courier.DefaultSpace":  "what a person gets who has not chosen",
	"chat/courier.overhead":      "an estimate",
	"chat/courier.announceAfter": "a time, which bounds nothing that others fill",
	"chat/courier.weeksBack":     "MaxLifetime in weeks",
	"chat/courier.weeksAhead":    "how far clocks may be ahead, in weeks",

	"node.maxAge":        "a time, past which catch-up brings what was said",
	"node.maxBackOff":    "a time, which bounds nothing that others fill",
	"node.maxDirectRest": "a time, which bounds nothing that others fill",
	"node.maxLeap":       "how far a clock may be off",
	"node.maxWait":       "a time, and maxReopenings bounds what it leads to",
	"node.maxFound":      "what is read for a question of this person's",
	"node.maxGuessers":   "it ends an attempt of this person's to pair",
	"node.maxOutgoing":   "a queue that this device fills, and waits for",
	"node.maxShared":     "when a frame to an own device is full",
}

// limited are the packages whose limits are walked: by the file in which all constants
// are, or by their names.
var limited = map[string]func(s source, name string) bool{
	"chat":          func(s source, _ string) bool { return s.path == "chat/limits.go" },
	"chat/seal":     func(s source, _ string) bool { return s.path == "chat/seal/limits.go" },
	"chat/courier":  func(s source, _ string) bool { return s.path == "chat/courier/limits.go" },
	"chat/presence": func(_ source, name string) bool { return namesLimit.MatchString(name) },
	"node":          func(_ source, name string) bool { return namesLimit.MatchString(name) },
	"node/gossip":   func(_ source, name string) bool { return namesLimit.MatchString(name) },
}

var namesLimit = regexp.MustCompile(`^[mM]ax[A-Z]|Queue$`)

// Every bound on what others can fill is enforced somewhere, and a test knows it by its
// name: it goes to the limit, whatever that is by then. The limits of chat are for all
// packages, those of another for itself.
func TestEveryLimitIsEnforcedAndTested(t *testing.T) {
	limits, enforced, tested := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, s := range sources(t) {
		declared := map[*ast.Ident]bool{}
		for _, id := range constants(s.ast) {
			declared[id] = true
			if is := limited[s.pkg]; is != nil && !s.test && is(s, id.Name) {
				limits[s.pkg+"."+id.Name] = true
			}
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			if !ok || declared[id] {
				return true
			}
			for pkg := range limited {
				name, here := pkg+"."+id.Name, pkg == s.pkg
				enforced[name] = enforced[name] || !s.test && (here || id.IsExported())
				tested[name] = tested[name] || s.test && (here || pkg == "chat")
			}
			return true
		})
	}
	if len(limits) < 150 {
		t.Fatalf("there are %d limits only: %v", len(limits), limits)
	}
	for name := range limits {
		if !enforced[name] {
			t.Errorf("%s is enforced nowhere", name)
		}
		switch why := untested[name]; {
		case !tested[name] && why == "":
			t.Errorf("no test goes to %s", name)
		case tested[name] && why != "":
			t.Errorf("%s is tested, and listed as untested", name)
		}
	}
	for name := range untested {
		if !limits[name] {
			t.Errorf("%s is listed as untested, and is no limit", name)
		}
	}
}

// constants returns the names of the constants that a file declares.
func constants(f *ast.File) (names []*ast.Ident) {
	for _, d := range f.Decls {
		decl, ok := d.(*ast.GenDecl)
		if !ok || decl.Tok != token.CONST {
			continue
		}
		for _, spec := range decl.Specs {
			names = append(names, spec.(*ast.ValueSpec).Names...)
		}
	}
	return names
}
