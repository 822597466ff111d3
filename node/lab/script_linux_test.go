package lab_test

import (
	"strings"
	"testing"
	"time"
)

// The same as a script does it: by the command line alone.

// do calls the program, which must succeed, and returns what it printed.
func (s *station) do(args ...string) string {
	s.t.Helper()
	return s.run(s.command(args...))
}

// fails calls the program, which must not succeed, and returns what it said.
func (s *station) fails(args ...string) string {
	s.t.Helper()
	r, err := s.host.Run(within(s.t, 20*time.Second), s.command(args...))
	if err != nil {
		s.t.Fatal(err)
	}
	if r.Code == 0 {
		s.t.Errorf("%s: earshot %s succeeded\n%s", s.name, strings.Join(args, " "), r.Stdout)
	}
	return r.Stderr
}

// shows waits until a command's output holds a text.
func (s *station) shows(text string, args ...string) {
	s.t.Helper()
	eventually(s.t, 10*time.Second, s.name+": earshot "+strings.Join(args, " ")+" shows "+text, func() bool {
		return strings.Contains(s.do(args...), text)
	})
}

func TestPeopleTalkPrivatelyByTheCommandLine(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.named("host1", "Ann"), w.named("host2", "Bob")
	meet(5*time.Second, ann, bob)
	if said := ann.fails("send", "Bob", "hello"); !strings.Contains(said, "Bob") {
		t.Errorf("a name found somebody who is no contact: %s", said)
	}
	ann.do("add", bob.person[:6], "--note", "from the third floor")
	bob.shows("from the third floor", "contacts")
	bob.do("accept", ann.person)
	ann.shows("Bob", "contacts")
	eventually(t, 10*time.Second, "Bob is a contact of Ann's", func() bool { return ann.relation(bob) == "contact" })
	ann.do("send", "Bob", "just for you")
	bob.shows("just for you", "history", "Ann")
	bob.do("send", "@Ann", "and for you")
	ann.shows("and for you", "history", "@Bob")

	ann.do("room", "create", "#plan", "--history", "all", "--yes")
	ann.do("send", "#plan", "before bob came")
	ann.do("room", "invite", "#plan", "Bob", "--role", "admin")
	bob.shows("plan", "invitations")
	bob.do("room", "accept", "#plan")
	bob.shows("before bob came", "history", "#plan")
	bob.do("room", "topic", "#plan", "what", "to", "do")
	ann.shows("what to do", "rooms", "--json")
	bob.do("room", "rename", "#plan", "#deeds")
	ann.shows("deeds", "rooms")
	ann.shows("admin", "room", "members", "#deeds")
	ann.do("room", "role", "#deeds", "Bob", "member")
	eventually(t, 10*time.Second, "bob is no admin any more", func() bool { return !strings.Contains(bob.do("room", "members", "#deeds"), "admin") })
	bob.fails("room", "rename", "#deeds", "#mine")
	bob.do("send", "#deeds", "still a member")
	ann.shows("still a member", "history", "#deeds")
	// Without a terminal a dangerous step needs a yes beforehand.
	if said := ann.fails("room", "remove", "#deeds", "Bob"); !strings.Contains(said, "--yes") {
		t.Errorf("it does not say how: %s", said)
	}
	ann.do("room", "remove", "#deeds", "Bob", "--yes")
	eventually(t, 10*time.Second, "bob is out", func() bool { return !strings.Contains(ann.do("room", "members", "#deeds"), "Bob") })
	ann.do("send", "#deeds", "he is gone")
	bob.fails("send", "#deeds", "am I?")

	ann.do("block", "Bob", "--yes")
	ann.fails("send", "Bob", "anything")
	bob.do("send", "Ann", "are you there")
	if strings.Contains(ann.everything(), "are you there") {
		t.Error("a blocked person was heard")
	}
}

// Of two contacts of one name neither is meant by it.
func TestANameThatFitsTwoReachesNobody(t *testing.T) {
	w := newWorld(t)
	ann, bob, rob := w.named("host1", "Ann"), w.named("host2", "Bob"), w.named("host3", "Вob") // with a Cyrillic letter
	meet(5*time.Second, ann, bob, rob)
	befriend(ann, bob)
	befriend(ann, rob)
	said := ann.fails("send", "Bob", "to whom?")
	for _, s := range []*station{bob, rob} {
		if !strings.Contains(said, s.person[:6]) {
			t.Errorf("it does not name %s: %s", s.person, said)
		}
	}
	ann.do("send", bob.person[:6], "to you")
	bob.hears("to you", 10*time.Second)
	if all := rob.everything(); strings.Contains(all, "to whom?") || strings.Contains(all, "to you") {
		t.Error("the other one was told")
	}
}
