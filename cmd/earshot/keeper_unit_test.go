package main

import (
	"os"
	"strings"
	"testing"

	"earshot/chat"
	"earshot/node/keyring"
)

// The unit of a keeper calls what there is, the README tells how to install it, and
// both name the same places.
func TestTheUnitOfAKeeperWorks(t *testing.T) {
	unit, err := os.ReadFile("systemd/earshot-keeper.service")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string][]string{}
	for line := range strings.Lines(string(unit)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			said[name] = append(said[name], value)
		}
	}
	one := func(name string) string {
		t.Helper()
		if len(said[name]) != 1 {
			t.Fatalf("%s stands there %d times", name, len(said[name]))
		}
		return said[name][0]
	}
	c := newCLI(t)
	program, args, _ := strings.Cut(one("ExecStartPre"), " ")
	if out := c.ok(strings.Fields(args)...); !strings.Contains(out, "This node is a keeper") {
		t.Errorf("%s prints %q", args, out)
	}
	if k, err := c.node.Keeper(t.Context()); err != nil || !k.On || k.Space != 1<<30 {
		t.Errorf("before the node starts: %+v, %v", k, err)
	}
	if len(c.cfgs) != 1 || !c.cfgs[0].Offline {
		t.Errorf("what only sets it up started %d nodes, or spoke with others", len(c.cfgs))
	}
	if start := one("ExecStart"); start != program+" daemon" {
		t.Errorf("it starts %q", start)
	}
	environment := strings.Join(said["Environment"], " ")
	secret, file, _ := strings.Cut(one("LoadCredential"), ":")
	for _, want := range []string{"EARSHOT_HOME=/var/lib/" + one("StateDirectory"), "EARSHOT_KEYRING=off", keyring.PassphraseVariable + "=%d/" + secret} {
		if !strings.Contains(environment, want) {
			t.Errorf("the environment %q lacks %s", environment, want)
		}
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"(cmd/earshot/systemd/earshot-keeper.service)", file, program, "sudo -u " + one("User"), "--home /var/lib/" + one("StateDirectory"), "systemctl enable --now earshot-keeper",
	} {
		if !strings.Contains(string(readme), want) {
			t.Errorf("the README does not say %q", want)
		}
	}
}

// What the README says about states is what the program shows.
func TestTheReadmeNamesTheStates(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{chat.StateHere, chat.StateHeld, chat.StateDelivered, chat.StateRead} {
		if !strings.Contains(string(readme), "**"+state+"**") {
			t.Errorf("the README does not explain %q", state)
		}
	}
}
