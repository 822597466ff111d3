package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"earshot/chat"
	"earshot/node/api"
)

// like reports whether text has a line of this form.
func like(text, pattern string) bool {
	return regexp.MustCompile("(?m)^" + pattern + "$").MatchString(text)
}

func TestTheStoryOfAMessageIsTold(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	bob, carol := c.node.Befriend("Bob"), c.node.Appear("Carol")
	id := strings.TrimSpace(c.ok("send", "@Bob", "Lunhc?"))
	want := func(patterns ...string) {
		t.Helper()
		out := c.ok("message", id[:6])
		for _, p := range patterns {
			if !like(out, p) {
				t.Errorf("got\n%s, want a line like %s", out, p)
			}
		}
	}
	entry, err := chat.ParseEntryID(id)
	if err != nil {
		t.Fatal(err)
	}
	c.node.Hinder(bob.Person, entry, "Bob is not here.")
	want(`Message +`+id, `In +@Bob`, `From +Ann \(you\)`, `Text +Lunhc\?`, `State +· here only`, `Bob +not delivered yet: Bob is not here\.`)
	c.node.Hold(carol, "contact", entry)
	want(`State +✓ held by 1`, ` +held by Carol; it reaches Bob when they meet`, `Held by +Carol, until \d{4}-.*`)
	c.node.Delivered(bob.Person, entry)
	want(`State +✓✓ delivered`, `Bob +delivered \d\d:\d\d`)
	c.node.ReadBy(bob.Person, entry)
	want(`State +✓✓ read`, `Bob +read \d\d:\d\d`)
	if out := c.ok("edit", id[:6], "Lunch?"); !strings.Contains(out, "Edited") {
		t.Errorf("edit says %q", out)
	}
	c.node.ReactedBy(bob.Person, entry, "🎉", true)
	if out := c.ok("react", id[:6], "👍"); out != "👍 is under “Lunch?”.\n" {
		t.Errorf("react says %q", out)
	}
	want(`Text +Lunch\?`, `Before +\d{4}-.*  Lunhc\?`, `Edited +\d{4}-.*`, ` +🎉 Bob`, ` +👍 you`)
	answer := strings.TrimSpace(c.ok("send", "@Bob", "--reply", id[:6], "12?"))
	if out := c.ok("history", "@Bob", "--ids"); !like(out, id[:8]+` \d\d:\d\d Ann: Lunch\?  \[edited, read\]`) || !like(out, "      🎉  👍") ||
		!like(out, answer[:8]+` \d\d:\d\d Ann: 12\?  \[answers `+id[:8]+`, here only\]`) {
		t.Errorf("history shows\n%s", out)
	}
	c.ok("react", "--off", id[:6], "👍")
	if out := c.ok("delete", "--yes", id[:6]); !strings.Contains(out, "earshot message "+id[:8]) {
		t.Errorf("delete says %q", out)
	}
	c.node.RemovedOn(entry, 2, 3)
	want(`Text +You removed this message \(gone on 2 of 3 devices\)`)
	if out := c.ok("history", "@Bob"); !strings.Contains(out, "(You removed this message)") || strings.Contains(out, "Lunch") {
		t.Errorf("history shows\n%s", out)
	}
	var m chat.MessageDetail
	if err := json.Unmarshal([]byte(c.ok("message", "--json", id)), &m); err != nil || m.Removed == nil || m.RemovedOn != 2 || len(m.Revisions) != 0 {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestSendWaits(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	bob := c.node.Befriend("Bob")
	// Whoever reads everything at once.
	arrive := func(f func(chat.PersonID, chat.EntryID)) {
		lines := c.follow("follow", "@Bob", "--json")
		for lines.Scan() && !strings.Contains(lines.Text(), `"ready"`) {
		}
		go func() { // ends with the follower
			for lines.Scan() {
				var m struct {
					Type string       `json:"type"`
					ID   chat.EntryID `json:"id"`
				}
				if json.Unmarshal(lines.Bytes(), &m) == nil && m.Type == "message" {
					f(bob.Person, m.ID)
				}
			}
		}()
	}
	out, errs, code := c.run("send", "--wait", "delivered", "--timeout", "50ms", "@Bob", "anybody there?")
	if code != exitNotYet || !like(out, `[a-z2-7]{52}`) || strings.Count(out, "\n") != 1 ||
		!like(errs, `earshot: After 50ms it is here only\. Bob: not delivered yet\. It goes on by itself; see `+"`earshot message "+out[:8]+"`"+`\.`) {
		t.Errorf("%d, %q, %q", code, out, errs)
	}
	out, errs, code = c.run("send", "--json", "--wait", "read", "--timeout", "50ms", "@Bob", "hello?")
	var m chat.MessageDetail
	if err := json.Unmarshal([]byte(out), &m); err != nil || code != exitNotYet || m.Text != "hello?" || len(m.Recipients) != 1 || !strings.Contains(errs, `"code":"not_yet"`) {
		t.Errorf("%d, %q, %q, %v", code, out, errs, err)
	}
	arrive(c.node.Delivered)
	if out := c.ok("send", "--wait", "delivered", "@Bob", "now"); !like(out, `delivered`) {
		t.Errorf("got %q", out)
	}
	out, errs, code = c.run("send", "--wait", "read", "--timeout", "1s", "@Bob", "and now")
	if code != exitNotYet || !strings.Contains(errs, "it is delivered. Bob: delivered") {
		t.Errorf("%d, %q, %q", code, out, errs)
	}
	arrive(c.node.ReadBy)
	if out := c.ok("send", "--wait", "read", "--timeout", "10s", "@Bob", "and now"); !like(out, `read`) {
		t.Errorf("got %q", out)
	}
}

func TestErrorsAboutMessagesSayWhatToDo(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	bob := c.node.Befriend("Bob")
	theirs := c.node.Hear(bob, "@Bob", "mine").ID.Short()
	mine := c.ok("send", "@Bob", "yours")[:8]
	c.ok("room", "create", "plan")
	dir := t.TempDir()
	other := filepath.Join(dir, "holiday.jpg")
	if err := os.WriteFile(other, []byte("holiday pictures"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, l := range []struct {
		exit int
		args []string
		want string
	}{
		{exitNotFound, []string{"message", "zzzzzz"}, "earshot history"},
		{exitUsage, []string{"message", "abc"}, "first 6 characters"},
		{exitRefused, []string{"edit", theirs, "yours"}, "Only they can change it"},
		{exitRefused, []string{"delete", theirs, "--yes"}, "admins"},
		{exitUsage, []string{"delete", mine}, "has read it"},
		{exitUsage, []string{"react", mine, "yes"}, "one emoji"},
		{exitUsage, []string{"send", "@Bob", "x", "--wait", "forever"}, "delivered or read"},
		{exitUsage, []string{"send", "@Bob", "x", "--timeout", "5s"}, "--wait"},
		{exitUsage, []string{"send", "@Bob", "x", "--wait", "read", "--timeout", "0s"}, "30s"},
		{exitUsage, []string{"send", "@Bob", "x", "--wait", "read", "--offline"}, "--offline"},
		{exitUsage, []string{"send", "lobby", "x", "--wait", "read"}, "open"},
		{exitUsage, []string{"send", "plan", "x", "--wait", "read"}, "earshot room invite"},
		{exitNotFound, []string{"send", "plan", "x", "--reply", mine}, "not in #plan"},
		{exitUsage, []string{"room", "disappear", "plan", "soon"}, "1d"},
		{exitUsage, []string{"room", "disappear", "plan", "1d"}, "removed on every device 1 day after"},
		{exitUsage, []string{"room", "keep", "plan", "90d"}, "older than 90 days"},
		{exitUsage, []string{"room", "keep", "lobby", "90d"}, "open"},
		{exitUsage, []string{"keeper", "on", "--space", "much"}, "500M"},
		{exitUsage, []string{"keeper", "on"}, "up to 1 GiB"},
		{exitUsage, []string{"keeper"}, "earshot keeper --help"},
		{exitUsage, []string{"carry", "out", dir}, "Whoever finds it sees"},
		{exitUsage, []string{"carry", "out", other, "--yes"}, "overwrites nothing"},
		{exitUsage, []string{"carry", "out", filepath.Join(dir, "no", "where"), "--yes"}, "Check the stick"},
		{exitUsage, []string{"carry", "in", dir}, carryEnding},
		{exitUsage, []string{"carry", "in", filepath.Join(dir, "nothing")}, "earshot carry out"},
	} {
		if got := errorsOf(t, c, l.exit, l.args...); !strings.Contains(got, l.want) {
			t.Errorf("earshot %s: %q, want %q in it", l.args, got, l.want)
		}
	}
	out, errs, code := c.run("carry", "in", other)
	if code != exitFailure || out != "" || !strings.Contains(errs, "earshot: That is nothing that") {
		t.Errorf("another file: %d, %q, %q", code, out, errs)
	}
}

func TestHowLongMessagesLastIsSaid(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	c.node.Befriend("Bob")
	if out := c.ok("room", "disappear", "@Bob", "1d", "--yes"); !strings.Contains(out, "1 day after it was said") {
		t.Errorf("got %q", out)
	}
	if out := c.ok("room", "keep", "--json", "@Bob", "90d", "--yes"); !strings.Contains(out, `"disappear_after":86400`) || !strings.Contains(out, `"keep_for":7776000`) {
		t.Errorf("got %q", out)
	}
	id := c.ok("send", "@Bob", "soon gone")[:8]
	if out := c.ok("message", id); !like(out, `Disappears +\d{4}-.*`) {
		t.Errorf("got %q", out)
	}
	if out := c.ok("room", "disappear", "@Bob", "off", "--yes"); !strings.Contains(out, "does not disappear") {
		t.Errorf("got %q", out)
	}
}

func TestWhatIsMissingIsListed(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	bob := c.node.Appear("Bob")
	m := c.node.Hear(bob, "#lobby", "the fifth")
	if _, errs, code := c.run("missing"); code != 0 || !strings.Contains(errs, "Nothing is known to be missing") {
		t.Errorf("%d, %q", code, errs)
	}
	c.node.Lack("#lobby", bob, 4, m.ID)
	if out := c.ok("missing", "lobby"); !like(out, `#lobby +4 messages from Bob not received yet +before `+m.ID.Short()) {
		t.Errorf("got\n%s", out)
	}
	var got chat.Missing
	if err := json.Unmarshal([]byte(c.ok("missing", "--json")), &got); err != nil || got.Count != 4 || got.From.Person != bob.Person {
		t.Errorf("%+v, %v", got, err)
	}
	if _, errs, _ := c.run("history", "lobby"); !strings.Contains(errs, "4 messages from Bob not received yet.") {
		t.Errorf("history says %q", errs)
	}
}

func TestKeepersSayWhatTheyHold(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	if out := c.ok("keeper", "on", "--space", "64M", "--yes"); !strings.Contains(out, "gives up to 64 MiB") {
		t.Errorf("got %q", out)
	}
	c.node.Keep(12<<10, 3)
	if out := c.ok("keeper", "status"); !strings.Contains(out, "It holds 3 sealed messages, 12 KiB.") {
		t.Errorf("got %q", out)
	}
	if out := c.ok("keeper", "status", "--json"); out != `{"on":true,"space":67108864,"used":12288,"held":3}`+"\n" {
		t.Errorf("got %q", out)
	}
	if got := errorsOf(t, c, exitUsage, "keeper", "off"); !strings.Contains(got, "holds 3 messages for others") {
		t.Errorf("got %q", got)
	}
	if out := c.ok("keeper", "off", "--yes"); !strings.Contains(out, "is no keeper") {
		t.Errorf("got %q", out)
	}
}

func TestCarryingByHand(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	bob := c.node.Befriend("Bob")
	c.node.Hear(bob, "@Bob", "one")
	c.ok("send", "@Bob", "two")
	stick := filepath.Join(t.TempDir(), "a [stick]*")
	if err := os.Mkdir(stick, 0o700); err != nil {
		t.Fatal(err)
	}
	if out := c.ok("carry", "out", stick, "--yes"); !strings.Contains(out, "holds 2 entries of yours for others, and 0 sealed messages that you hold") {
		t.Errorf("got %q", out)
	}
	files, err := os.ReadDir(stick)
	if err != nil || len(files) != 1 || !strings.HasSuffix(files[0].Name(), carryEnding) {
		t.Fatalf("on the stick: %v, %v", files, err)
	}
	if out := c.ok("carry", "in", stick); !strings.Contains(out, "brought nothing that was not here already") {
		t.Errorf("got %q", out)
	}
	whole, err := os.ReadFile(filepath.Join(stick, files[0].Name()))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(stick, "0-torn"+carryEnding), whole[:len(whole)-4], 0o600); err != nil {
		t.Fatal(err)
	}

	d := newCLI(t) // who knows neither
	d.daemon()
	out, errs, code := d.run("carry", "in", stick)
	if code != exitFailure || !strings.Contains(errs, "damaged") || strings.Count(out, "2 sealed messages to hold for others") != 2 {
		t.Errorf("a torn file beside a whole one: %d, %q, %q", code, out, errs)
	}
	out, _, code = d.run("carry", "in", "--json", stick)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var first, second carriedFile
	if code != exitFailure || len(lines) != 2 || json.Unmarshal([]byte(lines[0]), &first) != nil || json.Unmarshal([]byte(lines[1]), &second) != nil ||
		first.Error == nil || second.Error != nil || second.Held != 2 {
		t.Errorf("%d, %q", code, out)
	}
}

func TestFollowTellsWhatBecomesOfMessages(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	bob := c.node.Befriend("Bob")
	m := c.node.Hear(bob, "@Bob", "Lunhc?")
	all := c.follow("follow", "-n", "1")
	wantLine(t, all, `[0-9:]{5} Bob to you: Lunhc\?`)
	wantLine(t, all, `[0-9:]{5} Bob is here`)
	c.node.EditedBy(m.ID, "Lunch?")
	wantLine(t, all, `[0-9:]{5} Bob edited in @Bob: Lunch\?`)
	c.node.ReactedBy(bob.Person, m.ID, "🍜", true)
	wantLine(t, all, `[0-9:]{5} 🍜 1 under “Lunch\?” of Bob in @Bob`)
	c.node.RemovedBy(bob, m.ID)
	wantLine(t, all, `[0-9:]{5} Bob removed a message of Bob in @Bob`)
	gone := c.node.Hear(bob, "@Bob", "soon gone")
	wantLine(t, all, `.*soon gone`)
	c.node.RemovedBy(chat.Author{}, gone.ID)
	wantLine(t, all, `[0-9:]{5} a message of Bob in @Bob has disappeared: its time was over`)
	c.node.HearDraft(bob, "@Bob", chat.Draft{Text: "@Ann: look", ReplyTo: &m.ID})
	wantLine(t, all, `[0-9:]{5} Bob to you: @Ann: look  \[answers `+m.ID.Short()+`, calls you\]`)
	if err := c.markRead("@Bob"); err != nil {
		t.Fatal(err)
	}
	c.node.HearLate(bob, "@Bob", "from before", time.Now().Add(-time.Hour))
	wantLine(t, all, `.*Bob to you: from before  \[came late\]`)
}

// markRead has the person have read all of a room.
func (c *cli) markRead(room string) error {
	r, err := c.node.FindRoom(c.t.Context(), room)
	if err != nil {
		return err
	}
	all, err := c.node.Messages(c.t.Context(), r.RoomID, api.Page{Limit: 1})
	if err != nil {
		return err
	}
	return c.node.MarkRead(c.t.Context(), r.RoomID, all[0].ID)
}
