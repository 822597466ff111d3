package store

import (
	"fmt"
	"testing"

	"earshot/chat"
)

// A client id that is stored is never taken for new: not after the store was opened
// again, and not beyond what is remembered.
func TestAClientIDIsKnownForEver(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	alice, first := opened(chat.OpenRoom("#lobby"), "Alice", noon)
	said := alice.say(noon+1, "once")
	said.ClientID, said.Mine = "click", true
	mustStore(t, s, first, said)
	// The writer has remembered what was there when it was opened.
	look := func(s *Store) {
		t.Helper()
		for id, want := range map[string]bool{"click": true, "clack": false} {
			if _, found, err := s.ByClientID(t.Context(), id); err != nil || found != want {
				t.Fatalf("%q: found %v, want %v (%v)", id, found, want, err)
			}
		}
	}
	if !s.w.clients.lacks("clack") || s.w.clients.lacks("click") {
		t.Error("not remembered")
	}
	look(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir)
	look(s) // perhaps before it is remembered
	mustStore(t, s, alice.say(noon+2, "behind what is remembered at the start"))
	if !s.w.clients.lacks("clack") || s.w.clients.lacks("click") {
		t.Error("not remembered after a restart")
	}
	look(s)
	for i := range maxClients + 1 {
		s.w.clients.add(fmt.Sprint("many ", i))
	}
	if s.w.clients.lacks("clack") || s.w.clients.lacks("click") {
		t.Error("beyond the bound it claims to know all")
	}
	look(s)
}
