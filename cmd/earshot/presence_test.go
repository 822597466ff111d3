package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/phrase"
)

func TestExitCodesOfPresence(t *testing.T) {
	c := newCLI(t)
	if _, errs, code := c.run("presence", "Bob"); code != exitUnreachable || !strings.Contains(errs, "No Earshot node runs") || len(c.cfgs) != 0 {
		t.Errorf("without a node: %d %q, %d started", code, errs, len(c.cfgs))
	}
	c.daemon()
	bob := c.node.Befriend("Bob")
	c.node.Tell(bob.Person, chat.Profile{Email: "bob@example.org"})
	soon := time.Now().Add(time.Minute)
	for _, l := range []struct {
		s    chat.Status
		code int
		line string
	}{
		{chat.Status{State: chat.Available}, exitOK, "● Bob available"},
		{chat.Status{State: chat.Away, Text: "lunch"}, exitAway, "◐ Bob away: lunch"},
		{chat.Status{State: chat.Busy}, exitOccupied, "⊘ Bob busy"},
		{chat.Status{State: chat.InMeeting, Until: soon}, exitOccupied, `⊘ Bob in a meeting until [0-9:]{5}`},
		{chat.Status{State: chat.DoNotDisturb}, exitOccupied, "⊘ Bob do not disturb"},
		{chat.Status{}, exitUntold, "◇ Bob here"},
	} {
		c.node.Show(bob.Person, l.s)
		for _, ref := range []string{"bob", "@Bob", bob.Person.Short(), "BOB@example.org"} {
			out, errs, code := c.run("presence", ref, "--line")
			if code != l.code || errs != "" || !regexp.MustCompile("^"+l.line+"\n$").MatchString(out) {
				t.Errorf("%+v: presence %s: %d %q %q", l.s, ref, code, out, errs)
			}
		}
		if out, _, code := c.run("presence", "Bob", "--json"); code != l.code || !json.Valid([]byte(out)) || strings.Count(out, "\n") != 1 {
			t.Errorf("%+v in JSON: %d %q", l.s, code, out)
		}
	}
	c.node.Depart(bob.Person)
	if out, _, code := c.run("presence", "Bob"); code != exitGone || !regexp.MustCompile(`(?m)^State +○ gone since [0-9:]{5}$`).MatchString(out) {
		t.Errorf("gone: %d %q", code, out)
	}
	for code := exitAway; code <= exitUntold; code++ {
		if !strings.Contains(exitHelp(), fmt.Sprintf("  %3d  presence: ", code)) {
			t.Errorf("help explains no exit code %d", code)
		}
	}
}

func jsonOf(v any) string {
	b, _ := json.Marshal(v) // of strings and such
	return string(b)
}

// Contacts call themselves what they like: none answers for another's address by that.
func TestAContactNamedLikeAnAddressDoesNotAnswerForIt(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	c.node.Show(c.node.Befriend("boss@example.org").Person, chat.Status{State: chat.Available})
	errorsOf(t, c, exitNotFound, "presence", "boss@example.org")
	if out := c.ok("presence", "@boss@example.org", "--line"); out != "● boss@example.org available\n" {
		t.Errorf("by their name: %q", out)
	}
}

func TestErrorsAboutPresenceSayWhatToDo(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	eve := c.node.Appear("Eve")
	c.node.Tell(eve.Person, chat.Profile{Email: "eve@example.org"})
	for _, name := range []string{"Bob", "Carol"} {
		c.node.Tell(c.node.Befriend(name).Person, chat.Profile{Email: "sales@example.org"})
	}
	long := strings.Repeat("x", chat.MaxStatusText+1)
	for _, l := range []struct {
		exit int
		args []string
		want string
	}{
		{exitUsage, []string{"status", "asleep"}, "available, away, busy"},
		{exitUsage, []string{"status", "meeting"}, "--until 14:00"},
		{exitUsage, []string{"status", "--for", "1h"}, "-m"},
		{exitUsage, []string{"status", "available", "--for", "1h"}, "-m"},
		{exitUsage, []string{"status", "busy", "--for", "1h", "--until", "14:00"}, "only one"},
		{exitUsage, []string{"status", "busy", "--for", "soon"}, "45m or 1h"},
		{exitUsage, []string{"status", "busy", "--for", "off"}, "45m or 1h"},
		{exitUsage, []string{"status", "busy", "--for", "400d"}, "nearer end"},
		{exitUsage, []string{"status", "busy", "--until", "noon"}, "2026-12-01T09:00"},
		{exitUsage, []string{"status", "busy", "--until", "2001-01-01T09:00"}, "is over"},
		{exitUsage, []string{"status", "busy", "--clear"}, "Leave out one"},
		{exitRefused, []string{"status", "-m", long}, "shorter"},
		{exitNotFound, []string{"presence", "nobody"}, "id of the person"},
		{exitNotFound, []string{"presence", "eve@example.org"}, "by name, or by id"},
		{exitAmbiguous, []string{"presence", "sales@example.org"}, "Bob ("},
		{exitUsage, []string{"watch", "Bob", "--timeout", "-1s"}, "such as 2h"},
		{exitUsage, []string{"watch", "Bob", "--timeout", "1s", "--leave"}, "--leave"},
		{exitRefused, []string{"watch", eve.Person.Short()}, "earshot add"},
		{exitUsage, []string{"profile", "set", "shoes=42"}, "title, department"},
		{exitUsage, []string{"profile", "set", "title"}, "title=TEXT"},
		{exitUsage, []string{"profile", "set", "title=x", "--for", "friends"}, "groups:"},
		{exitUsage, []string{"profile", "set", "email=x"}, "ann@example.org"},
		{exitUsage, []string{"group", "add", "sales"}, "needs more"},
		{exitUsage, []string{"group", "add", "a,b", "Bob"}, "without commas"},
		{exitNotFound, []string{"group", "add", "sales", "Bob", "Eve"}, "stranger"},
		{exitRefused, []string{"team", "add", eve.Person.Short()}, "earshot add"},
		{exitUsage, []string{"alerts", "shoes"}, "desktop"},
		{exitUsage, []string{"alerts", "bell", "loud"}, "on or off"},
		{exitUsage, []string{"alerts", "preview", "all of it"}, "text, name or nothing"},
		{exitUsage, []string{"alerts", "quiet", "22:00"}, "22:00-07:00"},
		{exitUsage, []string{"alerts", "quiet", "07:00-07:00"}, "22:00-07:00"},
		{exitUsage, []string{"alerts", "lobby", "some"}, "all, mentions, none, usual"},
		{exitNotFound, []string{"alerts", "nowhere", "all"}, "earshot"},
		{exitUsage, []string{"privacy", "except", "Bob", "nearby", "hide"}, "presence, typing or read"},
		{exitUsage, []string{"privacy", "except", "Bob", "read", "never"}, "show, hide or usual"},
		{exitRefused, []string{"privacy", "except", eve.Person.Short(), "read", "show"}, "earshot add"},
	} {
		if got := errorsOf(t, c, l.exit, l.args...); !strings.Contains(got, l.want) {
			t.Errorf("earshot %.60s: %q, want %q in it", l.args, got, l.want)
		}
	}
	if out := c.ok("contacts", "--json"); strings.Contains(out, `"groups"`) {
		t.Errorf("somebody was moved although another was not found: %s", out)
	}
}

func TestStatusSaysWhatIsShownAndWhy(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	out := c.ok("status", "-m", "lunch", "--for", "1h")
	for _, want := range []string{`Shown +● available`, `Text +lunch until (tomorrow )?[0-9:]{5}`, `Chosen +available; away comes and goes by itself`, `Machine +in use, as far as Earshot is used here`, `Seen by +contacts \(earshot privacy\)`} {
		if !regexp.MustCompile("(?m)^" + want + "$").MatchString(out) {
			t.Errorf("status shows\n%s, want %s", out, want)
		}
	}
	if out = c.ok("status", "meeting", "--for", "1h"); !regexp.MustCompile(`(?m)^Shown +⊘ in a meeting until (tomorrow )?[0-9:]{5}\nText +lunch.*\nChosen +in a meeting; it ends by itself, or with: `).MatchString(out) {
		t.Errorf("in a meeting\n%s", out)
	}
	c.node.Idle(time.Now(), true)
	if out = c.ok("status", "available", "-m", ""); !regexp.MustCompile(`(?m)^Shown +◐ away since [0-9:]{5}\nChosen.*\nMachine +its screen is locked`).MatchString(out) {
		t.Errorf("locked\n%s", out)
	}
	out, errs, code := c.run("status", "offline")
	if code != 0 || !strings.Contains(out, "○ appears offline") || !strings.Contains(errs, "earshot invisible on") {
		t.Errorf("offline says not what it is worth: %d %q %q", code, out, errs)
	}
	var own chat.OwnStatus
	if err := json.Unmarshal([]byte(c.ok("status", "--clear", "--json")), &own); err != nil || own.Chosen != chat.Available || own.Text != "" {
		t.Errorf("cleared: %+v, %v", own, err)
	}
	c.ok("privacy", "presence", "groups:sales,board")
	if out = c.ok("status"); !strings.Contains(out, "groups:sales,board") {
		t.Errorf("who sees it\n%s", out)
	}
	c.ok("invisible", "on")
	if out = c.ok("status"); !strings.Contains(out, "nobody: you are invisible") {
		t.Errorf("invisible\n%s", out)
	}
}

func TestStatusWithoutADaemonIsSeenByNobody(t *testing.T) {
	c := newCLI(t)
	if out := c.ok("status"); !strings.Contains(out, "nobody now: no node is running") {
		t.Errorf("status shows\n%s", out)
	}
	if len(c.cfgs) != 1 || !c.cfgs[0].Offline {
		t.Errorf("started %+v, want one node without a network", c.cfgs)
	}
}

func TestWordsBehindSlashStatus(t *testing.T) {
	text := func(s string) *string { return &s }
	for args, want := range map[string]statusWish{
		"":                               {},
		"busy":                           {state: "busy"},
		"busy -m back soon --for 1h":     {state: "busy", text: text("back soon"), lasting: "1h"},
		"-m 'at the gym' --until 14:00":  {text: text("at the gym"), until: "14:00"},
		"--until 2026-12-01T09:00 dnd":   {state: "dnd", until: "2026-12-01T09:00"},
		"-m":                             {text: text("")},
		"--clear":                        {clear: true},
		"meeting --for 1h -m the budget": {state: "meeting", text: text("the budget"), lasting: "1h"},
	} {
		got, err := parseStatus(args)
		if err != nil || jsonOf([]any{got.state, got.text, got.lasting, got.until, got.clear}) != jsonOf([]any{want.state, want.text, want.lasting, want.until, want.clear}) {
			t.Errorf("%q: %+v, %v", args, got, err)
		}
	}
	for _, args := range []string{"busy dnd", "--for", "busy --until", "busy --loud", "busy -x"} {
		if got, err := parseStatus(args); chat.CodeOf(err) != chat.CodeUsage {
			t.Errorf("%q: %+v, %v", args, got, err)
		}
	}
}

func TestPresenceIsFollowedInLines(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	bob := c.node.Befriend("Bob")
	lines := c.follow("presence", "Bob", "--line", "--follow")
	wantLine(t, lines, "◇ Bob here")
	c.node.Show(bob.Person, chat.Status{State: chat.Available, Text: "\x1b[31mfree\nat last"})
	wantLine(t, lines, `● Bob available: (\[31m)?free at last`)
	c.node.Doubt(bob.Person, true)
	wantLine(t, lines, `● Bob available \(connection lost\?\): .*`)
	c.node.Depart(bob.Person)
	wantLine(t, lines, `○ Bob gone since [0-9:]{5}: .*`)
}

func TestWatchTellsOnceAndLeavesNothingBehind(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	bob := c.node.Befriend("Bob")
	c.node.Show(bob.Person, chat.Status{State: chat.Busy})
	if got := errorsOf(t, c, exitNotYet, "watch", "Bob", "--timeout", "20ms"); !strings.Contains(got, "--leave") {
		t.Errorf("in time: %q", got)
	}
	if out := c.ok("people", "Bob"); strings.Contains(out, "Watched") {
		t.Errorf("who gave up still watches\n%s", out)
	}
	said := make(chan string, 1)
	go func() {
		out, errs, code := c.run("watch", "Bob")
		said <- fmt.Sprintf("%d %s%s", code, out, errs)
	}()
	for !strings.Contains(c.ok("people", "Bob", "--json"), `"watched":true`) {
		time.Sleep(time.Millisecond)
	}
	c.node.Show(bob.Person, chat.Status{State: chat.Away})
	c.node.Show(bob.Person, chat.Status{State: chat.Available, Text: "back"})
	if got := <-said; !regexp.MustCompile(`^0 [0-9:]{5} Bob \(\w{6}\) is free: back\n$`).MatchString(got) {
		t.Errorf("told %q", got)
	}
	if out := c.ok("watch", "Bob"); !strings.Contains(out, "is free") {
		t.Errorf("somebody free already: %q", out)
	}
	c.node.Show(bob.Person, chat.Status{State: chat.Busy})
	if out := c.ok("watch", "Bob", "--leave"); !strings.HasPrefix(out, "You are told once when Bob") {
		t.Errorf("left: %q", out)
	}
	errorsOf(t, c, exitNotYet, "watch", "Bob", "--timeout", "20ms")
	if out := c.ok("people", "Bob"); !strings.Contains(out, "Watched") {
		t.Errorf("what was left to the node was taken away by another command\n%s", out)
	}
}

// Where no node goes on running, nobody could tell.
func TestWatchingIsNotLeftToNobody(t *testing.T) {
	c := newCLI(t)
	c.node.Befriend("Bob")
	if got := errorsOf(t, c, exitUnreachable, "watch", "Bob", "--leave"); !strings.Contains(got, "earshot daemon") {
		t.Errorf("%q", got)
	}
}

func TestPeopleAreListedAsInAnOffice(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	ann, bob, carol, dan := "Ann", c.node.Befriend("Bob"), c.node.Befriend("Carol"), c.node.Befriend("Dan")
	c.node.Befriend("Finn")
	c.node.Tell(c.node.Befriend("Gail").Person, chat.Profile{Department: "Sales"}) // says they
	c.node.Appear("Eve")
	old := c.node.Appear("Old")
	c.node.Depart(old.Person)
	asks := c.node.Appear("Asks")
	c.node.Ask(asks, "")
	c.node.Tell(dan.Person, chat.Profile{Department: "Research", Phone: "+1 555 0100"})
	c.node.Show(bob.Person, chat.Status{State: chat.Busy})
	c.node.Show(carol.Person, chat.Status{State: chat.Available, Text: "third floor"})
	if out := c.ok("group", "add", "Sales", "Bob", "Carol"); !regexp.MustCompile(`^Bob \(\w{6}\) is in: Sales\.\nCarol \(\w{6}\) is in: Sales\.\n$`).MatchString(out) {
		t.Errorf("group add: %q", out)
	}
	c.ok("group", "add", "sales", "Bob") // is the same
	c.ok("group", "add", "board", "Carol")
	c.ok("team", "add", "Bob")
	want := `^     NAME   STATE                   RELATION         PERSON
You
  ●  ` + ann + `    available               you              \w{6}
board
  ●  Carol  available: third floor  • contact        \w{6}
Sales
  ●  Carol  available: third floor  • contact        \w{6}
  ⊘  Bob    busy                    • contact, team  \w{6}
Department Research
  ◇  Dan    here                    • contact        \w{6}
Department Sales
  ◇  Gail   here                    • contact        \w{6}
Contacts
  ◇  Finn   here                    • contact        \w{6}
Asked, or asking
  ◇  Asks   here                    \? asks you       \w{6}
Nearby, not known
  ◇  Eve    here                    stranger         \w{6}
Met before, not known
  ○  Old    gone since [0-9:]{5}        stranger         \w{6}
$`
	if out := c.ok("people"); !regexp.MustCompile(want).MatchString(out) {
		t.Errorf("people shows\n%s", out)
	}
	for args, want := range map[string]string{
		"--group|SALES":              "Carol Bob",
		"--group|research":           "Dan",
		"--search|FLOOR":             "Carol",
		"--search|0100":              "Dan",
		"--search|sales":             "Bob Carol Gail",
		"--group|board|--search|bob": "",
	} {
		var got []string
		for line := range strings.Lines(c.ok(append([]string{"people", "--json"}, strings.Split(args, "|")...)...)) {
			var p chat.Person
			if err := json.Unmarshal([]byte(line), &p); err != nil {
				t.Fatal(err)
			}
			got = append(got, p.Name)
		}
		if len(got) != len(strings.Fields(want)) {
			t.Errorf("%s: %q, want %q", args, got, want)
		}
		for _, name := range strings.Fields(want) {
			if !strings.Contains(strings.Join(got, " "), name) {
				t.Errorf("%s: %q, want %q", args, got, want)
			}
		}
	}
	if out := c.ok("people", "Dan"); !regexp.MustCompile(`(?m)^Department +Research\nPhone +\+1 555 0100$`).MatchString(out) {
		t.Errorf("one person\n%s", out)
	}
	if out := c.ok("group", "list"); out != "GROUP  PEOPLE\nboard  Carol\nSales  Bob, Carol\n" {
		t.Errorf("groups\n%s", out)
	}
	if out := c.ok("group", "remove", "SALES", "Carol"); !strings.Contains(out, "is in: board.") {
		t.Errorf("group remove: %q", out)
	}
	if out := c.ok("team", "list"); !strings.Contains(out, "Bob") || strings.Contains(out, "Carol") {
		t.Errorf("team\n%s", out)
	}
	c.ok("team", "remove", "Bob")
	if _, errs, _ := c.run("team", "list"); !strings.Contains(errs, "earshot team add") {
		t.Errorf("no team: %q", errs)
	}
}

func TestProfileIsSetPartByPart(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	c.ok("profile", "set", "title=Head of it", "department=Sales", "--for", "everyone")
	c.ok("profile", "set", "phone=+1 555=0100", "email=ann@example.org")
	c.ok("profile", "set", "phone", "--for", "groups:sales")
	out := c.ok("profile", "set", "department=")
	for _, want := range []string{`Title +Head of it +everyone`, `Department +- +`, `E-mail +ann@example\.org +contacts`, `Location +- +`, `Phone +\+1 555=0100 +groups:sales`} {
		if !regexp.MustCompile("(?m)^" + want + "$").MatchString(out) {
			t.Errorf("profile shows\n%s, want %s", out, want)
		}
	}
	bob := c.node.Befriend("Bob")
	if _, errs, code := c.run("profile", "Bob"); code != 0 || !strings.Contains(errs, "tells you nothing") {
		t.Errorf("nothing told: %d %q", code, errs)
	}
	if out := c.ok("profile", "Bob", "--json"); out != "{}\n" {
		t.Errorf("nothing told, in JSON: %q", out)
	}
	c.node.Tell(bob.Person, chat.Profile{Title: "Clerk\x1b[2J\nof it", Location: "Room 3"})
	if out := c.ok("profile", "Bob"); !regexp.MustCompile(`(?m)^Title +Clerk\S* of it\nLocation +Room 3$`).MatchString(out) || strings.Contains(out, "\x1b") {
		t.Errorf("told\n%q", out)
	}
}

func TestAlertsAreSetOneByOne(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	c.node.Befriend("Bob")
	for _, args := range []string{"quiet 22:00-7:00", "preview name", "bell on", "team-mentions off", "off", "on", "lobby all", "@Bob none"} {
		c.ok(append([]string{"alerts"}, strings.Fields(args)...)...)
	}
	out := c.ok("alerts")
	for _, want := range []string{`desktop +on`, `bell +off`, `title +off`, `preview +name`, `quiet +22:00-07:00`, `team-mentions +off`, `#lobby +all`, `@Bob +none`} {
		if !regexp.MustCompile("(?m)^" + want + "$").MatchString(out) {
			t.Errorf("alerts shows\n%s, want %s", out, want)
		}
	}
	if out := c.ok("alerts", "Bob", "usual"); out != "@Bob: every message alerts you.\n" {
		t.Errorf("usual: %q", out)
	}
	if out := c.ok("alerts", "quiet", "off"); !regexp.MustCompile(`(?m)^quiet +off$`).MatchString(out) || strings.Contains(out, "@Bob") {
		t.Errorf("alerts shows\n%s", out)
	}
}

func TestExceptionsToPrivacy(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	c.node.Befriend("Bob")
	eve := c.node.Appear("Eve")
	c.ok("privacy", "typing", "nobody")
	c.ok("privacy", "except", "Bob", "typing", "show")
	c.ok("privacy", "except", eve.Person.Short(), "presence", "hide")
	out := c.ok("privacy", "except", "Bob", "read", "hide")
	for _, want := range []string{`typing +nobody +when you are typing; never strangers`, `except +Bob \(\w{6}\) sees typing, and not read`, `except +Eve \(\w{6}\) does not see presence`} {
		if !regexp.MustCompile("(?m)^" + want + "$").MatchString(out) {
			t.Errorf("privacy shows\n%s, want %s", out, want)
		}
	}
	c.ok("privacy", "except", "Bob", "read", "usual")
	if out = c.ok("privacy", "except", "Bob", "typing", "usual"); strings.Contains(out, "Bob") || !strings.Contains(out, "Eve") {
		t.Errorf("no exception any more\n%s", out)
	}
}

func TestFollowTellsWhoIsFree(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	bob := c.node.Befriend("Bob")
	all := c.follow("follow")
	wantLine(t, all, `[0-9:]{5} Bob is here`)
	c.node.Show(bob.Person, chat.Status{State: chat.Busy, Text: "budget"})
	wantLine(t, all, `[0-9:]{5} Bob is busy: budget`)
	c.ok("watch", "Bob", "--leave")
	c.node.Depart(bob.Person)
	wantLine(t, all, `[0-9:]{5} Bob has gone`)
	c.node.Return(bob.Person, chat.Status{State: chat.Available})
	wantLine(t, all, `[0-9:]{5} Bob is available`)
	wantLine(t, all, `[0-9:]{5} Bob \(\w{6}\) is free`)
}

func TestCompletionOfPresence(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	bob := c.node.Befriend("Bob")
	c.ok("group", "add", "sales", "Bob")
	theirs := "Bob\t" + bob.Person.Short() + "\n:4\n"
	for words, want := range map[string]string{
		"status|":                     "available\naway\nbusy\nmeeting\ndnd\noffline\n:4\n",
		"presence|":                   theirs,
		"watch|":                      theirs,
		"team|add|":                   theirs,
		"group|add|":                  "sales\n:4\n",
		"group|add|sales|":            theirs,
		"people|--group|":             "sales\n:4\n",
		"privacy|presence|":           "everyone\ncontacts\nnobody\ngroups:sales\n:4\n",
		"privacy|except|Bob|":         "presence\ntyping\nread\n:4\n",
		"privacy|except|Bob|read|":    "show\nhide\nusual\n:4\n",
		"profile|set|":                "title=\ndepartment=\nemail=\nlocation=\nphone=\n:4\n",
		"profile|set|title=x|--for|e": "everyone\ncontacts\nnobody\n:4\n",
	} {
		if out := c.ok(append([]string{"__complete"}, strings.Split(words, "|")...)...); out != want {
			t.Errorf("%s: %q, want %q", words, out, want)
		}
	}
}

// What the README shows of who is free is what the program shows, and its commands work.
func TestTheReadmeSaysHowPeopleAreShown(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, readme, _ := strings.Cut(string(text), "\n## Who is free\n")
	readme, _, _ = strings.Cut(readme, "\n## ")
	for _, a := range []chat.Availability{chat.Available, chat.Away, chat.Busy, chat.InMeeting, chat.DoNotDisturb} {
		p := chat.Person{Presence: chat.Here, Status: chat.Status{State: a}}
		if !regexp.MustCompile("(?m)^[|] `" + phrase.Mark(p) + "` .*[*]{2}" + phrase.State(a) + "[*]{2}").MatchString(readme) {
			t.Errorf("the README does not explain %s %s", phrase.Mark(p), phrase.State(a))
		}
	}
	for _, mark := range []string{phrase.MarkHere, phrase.MarkGone} {
		if !strings.Contains(readme, "| `"+mark+"` ") {
			t.Errorf("the README does not explain %s", mark)
		}
	}
	for _, code := range []int{exitOK, exitAway, exitOccupied, exitGone, exitUntold, exitNotFound, exitUnreachable} {
		if !strings.Contains(readme, fmt.Sprintf("%d for ", code)) {
			t.Errorf("the README does not explain exit code %d", code)
		}
	}
	c := newCLI(t)
	c.daemon()
	for _, name := range []string{"Bob", "Carol"} {
		c.node.Show(c.node.Befriend(name).Person, chat.Status{State: chat.Available})
	}
	ran := 0
	for line := range strings.Lines(readme) {
		line, _, _ = strings.Cut(line, "  #")
		for one := range strings.SplitSeq(line, "&&") {
			args := strings.Fields(strings.ReplaceAll(one, "'", ""))
			if len(args) > 1 && args[0] == "earshot" {
				c.ok(args[1:]...)
				ran++
			}
		}
	}
	if ran < 8 {
		t.Errorf("found %d commands in the README", ran)
	}
}
