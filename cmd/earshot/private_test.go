package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"earshot/chat"
	"earshot/node/api/apitest"
)

// errorsOf runs a command line that must fail, in words and in JSON, and returns what
// is said to a person.
func errorsOf(t *testing.T, c *cli, exit int, args ...string) (text string) {
	t.Helper()
	out, errs, code := c.run(args...)
	if code != exit || out != "" || !strings.HasPrefix(errs, "earshot: ") || strings.Count(errs, "\n") != 1 {
		t.Errorf("earshot %.80s: %d, %q, %q; want %d and one line", args, code, out, errs, exit)
	}
	_, errs, code = c.run(append([]string{"--json"}, args...)...)
	var e struct{ Error chat.Error }
	if err := json.Unmarshal([]byte(errs), &e); err != nil || code != exit || e.Error.Text == "" || exitCode(e.Error.Code) != code {
		t.Errorf("earshot --json %.80s: %d, %q, %v", args, code, errs, err)
	}
	return e.Error.Error()
}

func TestErrorsAboutPeopleSayWhatToDo(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	eve := c.node.Appear("Eve")
	c.node.Befriend("Bob")
	c.node.Befriend("bob")
	c.node.Befriend("Carol")
	c.ok("room", "create", "plan")
	for _, l := range []struct {
		exit int
		args []string
		want string
	}{
		{exitUsage, []string{"add"}, "needs more"},
		{exitUsage, []string{"privacy", "nearby"}, "everyone, contacts, nobody or groups:"},
		{exitUsage, []string{"privacy", "shoes", "nobody"}, "nearby, presence, typing or read"},
		{exitUsage, []string{"privacy", "read", "friends"}, "everyone, contacts, nobody"},
		{exitUsage, []string{"invisible", "maybe"}, "on or off"},
		{exitUsage, []string{"block", "Carol"}, "hear nothing more"},
		{exitUsage, []string{"forget", "Carol"}, "becomes a stranger"},
		{exitUsage, []string{"room", "create", "x", "--history", "none"}, "reads nothing"},
		{exitUsage, []string{"room", "create", "x", "--history", "some"}, "none, since-invited or all"},
		{exitUsage, []string{"room", "leave", "plan"}, "for good"},
		{exitUsage, []string{"room", "leave", "@Carol"}, "earshot forget"},
		{exitUsage, []string{"room", "invite", "plan", "Carol", "--role", "king"}, "owner, admin or member"},
		{exitUsage, []string{"room", "members", "lobby"}, "Nobody is a member"},
		{exitUsage, []string{"device", "add"}, "--yes"},
		{exitUsage, []string{"device", "join", "12345678"}, "--yes"},
		{exitUsage, []string{"decide", "Carol", "maybe"}, "same or other"},
		{exitNotFound, []string{"add", "nobody"}, "id of the person"},
		{exitNotFound, []string{"add", "Eve"}, "Eve (" + eve.Person.Short() + "), stranger"},
		{exitNotFound, []string{"send", "Eve", "hello"}, "Eve (" + eve.Person.Short() + "), stranger"},
		{exitNotFound, []string{"decide", "Carol", "same"}, "earshot contacts"},
		{exitNotFound, []string{"room", "remove", "plan", "Carol", "--yes"}, "earshot room members"},
		{exitNotFound, []string{"room", "accept", "tea"}, "earshot invitations"},
		{exitNotFound, []string{"device", "revoke", "phone", "--yes"}, "earshot device list"},
		{exitRefused, []string{"send", eve.Person.String(), "hello"}, "earshot add " + eve.Person.Short()},
		{exitRefused, []string{"verify", "Carol", "12345"}, "compare again"},
		{exitRefused, []string{"room", "invite", "plan", eve.Person.Short()}, "earshot add"},
		{exitAmbiguous, []string{"send", "bob", "hello"}, "Bob ("},
		{exitAmbiguous, []string{"history", "@Bob"}, "bob ("},
		{exitAmbiguous, []string{"block", "bob", "--yes"}, "Give the id"},
	} {
		if got := errorsOf(t, c, l.exit, l.args...); !strings.Contains(got, l.want) {
			t.Errorf("earshot %s: %q, want %q in it", l.args, got, l.want)
		}
	}
}

func TestRelationsAreTold(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	asks, dan := c.node.Appear("Asks"), c.node.Befriend("Dan")
	c.node.Ask(asks, "it's \x1b[31mme")
	c.node.Appear("Eve")
	c.ok("verify", "Dan", apitest.Number)
	c.ok("block", dan.Person.String()[:6], "--yes")
	c.ok("unblock", dan.Person.Short())
	c.node.Befriend("Vera")
	c.ok("verify", "Vera", apitest.TheirQR)
	people := c.ok("people")
	for _, want := range []string{
		`  ● +Ann +available +you +\w{6}`, `  ◇ +Asks +here +\? asks you +\w{6}`, `  ◇ +Dan +here +stranger +\w{6}`, `  ◇ +Eve +here +stranger +\w{6}`, `  ◇ +Vera +here +✓ verified +\w{6}`,
	} {
		if !regexp.MustCompile("(?m)^" + want + "$").MatchString(people) {
			t.Errorf("people shows\n%s, want %s", people, want)
		}
	}
	out, errs, _ := c.run("contacts")
	if want := `(?m)^Asks +\? asks you +here +\w{6} +it's me$`; !regexp.MustCompile(want).MatchString(strings.ReplaceAll(out, "[31m", "")) {
		t.Errorf("contacts shows\n%s, want %s", out, want)
	}
	if !strings.Contains(errs, "earshot accept PERSON") {
		t.Errorf("nobody is told how to answer: %q", errs)
	}
	if lines := strings.Count(c.ok("contacts", "--json"), "\n"); lines != 2 {
		t.Errorf("%d contacts in JSON, want 2", lines)
	}
	if out := c.ok("people", "Vera"); !strings.Contains(out, "✓ verified") {
		t.Errorf("one person: %s", out)
	}
}

func TestAClaimIsDecided(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	bob := c.node.Befriend("Bob")
	c.ok("verify", "Bob", apitest.Number)
	other := c.node.Appear("Bob")
	c.node.Claim(bob.Person, other.Person)
	if _, errs, code := c.run("send", bob.Person.String(), "hello"); code != exitHeld || !strings.Contains(errs, "another key") {
		t.Errorf("%d %q", code, errs)
	}
	if _, errs, _ := c.run("contacts"); !strings.Contains(errs, "earshot decide "+bob.Person.Short()+" same") {
		t.Errorf("the contacts do not say what to do: %q", errs)
	}
	if out := c.ok("decide", bob.Person.Short(), "other"); !strings.Contains(out, "You can send to Bob") {
		t.Errorf("other: %q", out)
	}
	c.ok("send", bob.Person.String(), "hello")

	c.node.Claim(bob.Person, other.Person)
	if got := errorsOf(t, c, exitUsage, "decide", bob.Person.Short(), "same"); !strings.Contains(got, "It is not verified") {
		t.Errorf("same, unasked: %q", got)
	}
	if out := c.ok("decide", bob.Person.Short(), "same", "--yes"); !strings.Contains(out, "earshot verify "+other.Person.Short()) {
		t.Errorf("same: %q", out)
	}
	if out := c.ok("people", other.Person.Short(), "--json"); !strings.Contains(out, `"relation":"contact"`) {
		t.Errorf("the new one is %s", out)
	}
}

// Two rooms of one name, and a person of that name, are told apart everywhere.
func TestNamesakesAreToldApart(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	c.node.Befriend("tea")
	c.ok("room", "join", "tea")
	var rooms [2]chat.Room
	for i := range rooms {
		if err := json.Unmarshal([]byte(c.ok("room", "create", "tea", "--json")), &rooms[i]); err != nil {
			t.Fatal(err)
		}
	}
	if got := errorsOf(t, c, exitAmbiguous, "send", "#tea", "hello"); !strings.Contains(got, rooms[0].RoomID.Short()) || !strings.Contains(got, rooms[1].RoomID.Short()) {
		t.Errorf("a room of three: %s", got)
	}
	if got := errorsOf(t, c, exitAmbiguous, "send", "tea", "hello"); !strings.Contains(got, "tea (") {
		t.Errorf("a room and a person: %s", got)
	}
	c.ok("send", "@tea", "to the person")
	c.ok("send", rooms[1].RoomID.Short(), "to the room")
	if out := c.ok("rooms"); !strings.Contains(out, "#tea ("+rooms[0].RoomID.Short()+")") || strings.Contains(out, "#lobby (") || !strings.Contains(out, "you and tea") {
		t.Errorf("rooms shows\n%s", out)
	}
	if out := c.ok("__complete", "send", ""); !strings.Contains(out, rooms[0].RoomID.Short()+"\t#tea\n") {
		t.Errorf("completion offers\n%s", out)
	}
}

func TestFollowTellsOfPeopleAndPrivateRooms(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	bob := c.node.Befriend("Bob")
	all := c.follow("follow")
	wantLine(t, all, `[0-9:]{5} Bob is here`)
	eve := c.node.Appear("Eve")
	wantLine(t, all, `[0-9:]{5} Eve is here`)
	c.node.Ask(eve, "let me in")
	wantLine(t, all, `[0-9:]{5} Eve \(\w{6}\) asks to be a contact: “let me in” \(earshot accept \w{6}\)`)
	c.node.Hear(bob, "@Bob", "psst")
	wantLine(t, all, `[0-9:]{5} Bob to you: psst`)
	c.ok("send", "@Bob", "what is it")
	wantLine(t, all, `[0-9:]{5} Ann to Bob: what is it`)
	plan := c.node.Invited(bob, "#plan", chat.HistoryAll, chat.RoleMember)
	wantLine(t, all, `[0-9:]{5} Bob \(\w{6}\) invites you to #plan: earshot room accept \w{8}`)
	c.ok("room", "accept", "plan")
	wantLine(t, all, `[0-9:]{5} You joined #plan`)
	wantLine(t, all, `[0-9:]{5} Ann joined in #plan`)
	c.node.Removed(bob, plan.RoomID)
	wantLine(t, all, `[0-9:]{5} Bob removed Ann in #plan`)
	wantLine(t, all, `[0-9:]{5} You are out of #plan`)
	c.node.Compare(bob.Person)
	wantLine(t, all, `[0-9:]{5} Bob wants to compare keys with you: earshot verify \w{6}`)
	if out := c.ok("rooms"); !regexp.MustCompile(`(?m)^#plan +.* Bob removed you\.$`).MatchString(out) {
		t.Errorf("rooms shows\n%s", out)
	}
	c.ok("forget", "Bob", "--yes")
	wantLine(t, all, `[0-9:]{5} The chat with Bob is closed`)

	c.node.Befriend("Dan")
	dan := c.follow("follow", "@Dan", "-n", "1")
	c.ok("send", "@Dan", "hello")
	wantLine(t, dan, `[0-9:]{5} Ann: hello(  \[here only\])?`)
}

func TestCompletionOfPeople(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	eve, asks := c.node.Appear("Eve"), c.node.Appear("Asks")
	c.node.Ask(asks, "")
	bob := c.node.Befriend("Bob")
	c.ok("room", "create", "plan")
	tea := c.node.Invited(bob, "#tea", chat.HistoryAll, chat.RoleMember)
	for words, want := range map[string]string{
		"add|":                   eve.Person.Short() + "\tEve\n" + asks.Person.Short() + "\tAsks\n:4\n",
		"accept|":                asks.Person.Short() + "\tAsks\n:4\n",
		"verify|":                "Bob\t" + bob.Person.Short() + "\n:4\n",
		"verify|Bob|":            ":4\n",
		"send|B":                 "#lobby\nlobby\n#plan\nplan\nBob\t" + bob.Person.Short() + "\n:4\n",
		"privacy|":               "except\tLet one person see more or less of you than others\nnearby\npresence\ntyping\nread\n:4\n",
		"privacy|read|":          "everyone\ncontacts\nnobody\n:4\n",
		"room|role|plan|Bob|":    "member\nadmin\nowner\n:4\n",
		"room|accept|":           tea.RoomID.Short() + "\t#tea from Bob\n:4\n",
		"room|invite|--role|":    "member\nadmin\nowner\n:4\n",
		"room|create|--history|": "none\nsince-invited\nall\n:4\n",
		"device|revoke|":         ":4\n",
	} {
		if out := c.ok(append([]string{"__complete"}, strings.Split(words, "|")...)...); out != want {
			t.Errorf("%s: %q, want %q", words, out, want)
		}
	}
}

// A request from a command of its own stays until it was delivered, or says that it
// was not.
func TestARequestWithoutADaemon(t *testing.T) {
	c := newCLI(t)
	eve, far := c.node.Appear("Eve"), c.node.Appear("Far")
	if _, errs, code := c.run("add", eve.Person.Short()); code != 0 || errs != "" {
		t.Errorf("somebody here: %d %q", code, errs)
	}
	c.node.Depart(far.Person)
	if out, errs, code := c.run("add", far.Person.Short()); code != 0 || !strings.Contains(out, "as soon as they can be reached") || !strings.Contains(errs, "is not near") {
		t.Errorf("somebody away: %d %q %q", code, out, errs)
	}
}
