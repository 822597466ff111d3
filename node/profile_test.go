package node

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"earshot/chat"
	"earshot/chat/contacts"
	"earshot/chat/profile"
	"earshot/chat/wire"
	"earshot/node/store"
)

// meets makes somebody this node's contact, as another own device may tell.
func meets(t *testing.T, n *Node, who chat.PersonID, name string, r contacts.Relation) {
	t.Helper()
	if err := n.do(t.Context(), func(c *core) {
		c.contact(contacts.Merge{Record: contacts.Record{Person: who, Relation: r, Since: c.now, Name: name}}, nil)
	}); err != nil {
		t.Fatal(err)
	}
}

// tell has somebody tell of themselves.
func tell(t *testing.T, n *Node, i int, f wire.ShownProfile) {
	t.Helper()
	if err := n.do(t.Context(), func(c *core) { c.heardProfile(numbered(i), personNo(i), f) }); err != nil {
		t.Fatal(err)
	}
}

func TestAnAddressFindsContactsOnly(t *testing.T) {
	home := t.TempDir()
	n := alone(t, home)
	meets(t, n, personNo(1), "Zoe", contacts.Verified)
	meets(t, n, personNo(2), "Ada", contacts.Contact)
	meets(t, n, personNo(3), "Ben", contacts.Contact)
	for i := 1; i <= 4; i++ { // the fourth is a stranger
		tell(t, n, i, wire.ShownProfile{Version: 1, Email: fmt.Sprintf("Person%d@Example.org", i)})
	}
	tell(t, n, 2, wire.ShownProfile{Version: 2, Email: "PERSON1@example.org"})
	find := func(email string) (names []string, code chat.Code) {
		t.Helper()
		found, err := n.FindEmail(t.Context(), email)
		for _, p := range found {
			names = append(names, p.Name)
		}
		return names, chat.CodeOf(err)
	}
	check := func() {
		t.Helper()
		for email, want := range map[string][]string{" person1@EXAMPLE.org ": {"Zoe", "Ada"}, "person3@example.org": {"Ben"}} {
			if names, code := find(email); !slices.Equal(names, want) {
				t.Errorf("%q finds %q (%s)", email, names, code)
			}
		}
		for email, want := range map[string]chat.Code{"person4@example.org": chat.CodeNotFound, "person2@example.org": chat.CodeNotFound, "nowhere": chat.CodeUsage} {
			if names, code := find(email); code != want || names != nil {
				t.Errorf("%q finds %q (%s)", email, names, code)
			}
		}
	}
	check()
	// It survives a restart, and ends with the relation.
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	n = alone(t, home)
	check()
	if err := n.ForgetContact(t.Context(), personNo(3)); err != nil {
		t.Fatal(err)
	}
	if names, code := find("person3@example.org"); code != chat.CodeNotFound {
		t.Errorf("a forgotten contact is found: %q", names)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	n = alone(t, home)
	if held := stateOf(t, n, profilePrefix); held[profileKey(personNo(3))] != nil || held[profileKey(personNo(1))] == nil {
		t.Errorf("what a forgotten contact has told is still stored")
	}
	meets(t, n, personNo(3), "Ben", contacts.Contact)
	if names, code := find("person3@example.org"); code != chat.CodeNotFound {
		t.Errorf("what was forgotten comes back: %q", names)
	}
}

// Of what a contact tells the newest version counts, and of one version the last word.
func TestTheNewestThatSomebodyTellsCounts(t *testing.T) {
	n := alone(t, t.TempDir())
	meets(t, n, personNo(1), "Ben", contacts.Contact)
	for _, step := range []struct {
		f    wire.ShownProfile
		want *chat.Profile
	}{
		{wire.ShownProfile{Version: 5, Title: "Boss", Phone: "1"}, &chat.Profile{Title: "Boss", Phone: "1"}},
		{wire.ShownProfile{Version: 4, Title: "Clerk"}, &chat.Profile{Title: "Boss", Phone: "1"}},
		{wire.ShownProfile{Version: 5, Title: "Boss"}, &chat.Profile{Title: "Boss"}},
		{wire.ShownProfile{Version: 6, Email: "<no>", Location: "\u202eroom"}, &chat.Profile{Location: "room"}},
		{wire.ShownProfile{Version: 7}, nil},
		{wire.ShownProfile{Version: 6, Title: "Boss"}, nil},
	} {
		tell(t, n, 1, step.f)
		people, err := n.People(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(people, func(p chat.Person) bool { return p.Person == personNo(1) })
		if got := people[i].Profile; !reflect.DeepEqual(got, step.want) {
			t.Errorf("after %+v: %+v", step.f, got)
		}
	}
}

func TestWhatStrangersTellIsBoundedAndNotStored(t *testing.T) {
	n := alone(t, t.TempDir())
	meets(t, n, personNo(0), "Ben", contacts.Contact)
	tell(t, n, 0, wire.ShownProfile{Version: 1, Title: "Boss"})
	for i := range 2 * chat.MaxStrangers {
		tell(t, n, 1+i, wire.ShownProfile{Version: 1, Title: "Nobody"})
	}
	held := func() (held int) {
		if err := n.do(t.Context(), func(c *core) { held = len(c.people.told) }); err != nil {
			t.Fatal(err)
		}
		return held
	}
	if got := held(); got != 2+chat.MaxStrangers { // this person and Ben, too
		t.Errorf("what %d people tell is held", got)
	}
	// Whoever is here is not forgotten for somebody else.
	if err := n.do(t.Context(), func(c *core) {
		for who := range c.people.told {
			c.people.persons[who] = &person{id: who, devices: []*device{{connected: true}}}
		}
	}); err != nil {
		t.Fatal(err)
	}
	tell(t, n, 9999, wire.ShownProfile{Version: 1, Title: "Nobody"})
	if err := n.do(t.Context(), func(c *core) {
		if _, is := c.people.told[personNo(9999)]; is || len(c.people.told) != 2+chat.MaxStrangers {
			t.Errorf("what %d people tell is held", len(c.people.told))
		}
	}); err != nil {
		t.Fatal(err)
	}
	for key := range stateOf(t, n, profilePrefix) {
		if key != profileKey(personNo(0)) {
			t.Errorf("%s is stored", key)
		}
	}
}

func TestTheOwnProfileIsKept(t *testing.T) {
	home := t.TempDir()
	n := alone(t, home)
	in := chat.OwnProfile{Profile: chat.Profile{Title: "Boss", Email: "ann@example.org"}, For: map[string]chat.Audience{"title": chat.Everyone}}
	if got, err := n.SetProfile(t.Context(), in); err != nil || !reflect.DeepEqual(got, in) {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := n.SetProfile(t.Context(), chat.OwnProfile{Profile: chat.Profile{Email: "nowhere"}}); chat.CodeOf(err) != chat.CodeUsage {
		t.Error(err)
	}
	// What whoever this device was before it was paired told of themselves is not
	// this person's.
	other, err := profile.Parse(chat.OwnProfile{Profile: chat.Profile{Title: "Nobody"}})
	if err != nil {
		t.Fatal(err)
	}
	other.Version = chat.MaxHLC
	stored := make(chan error, 1)
	n.store.Commit(store.Batch{State: []store.StateChange{{Key: profileKey(personNo(1)), Value: wire.EncodeFrame(other.Frame())}}}, func(_ []chat.Cursor, err error) { stored <- err })
	if err := <-stored; err != nil {
		t.Fatal(err)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	n = alone(t, home)
	if got, err := n.Profile(t.Context()); err != nil || !reflect.DeepEqual(got, in) {
		t.Errorf("%+v, %v", got, err)
	}
	people, err := n.People(t.Context())
	if err != nil || people[0].Profile == nil || *people[0].Profile != in.Profile {
		t.Errorf("%+v, %v", people[0], err)
	}
}

// Homes of before there were groups, exceptions and a setting for typing.
func TestWhatEarlierVersionsHaveStoredIsRead(t *testing.T) {
	record, err := hex.DecodeString("a5015400000000000000020000000000000000000000000204031b00064748462040000463426f620858200100000000000000000000000000000000000000000000000000000000000000")
	if err != nil {
		t.Fatal(err)
	}
	r, err := decodeRecord(record)
	want := contacts.Record{
		Person: personNo(1), Relation: contacts.Verified, Since: time.UnixMicro(1_767_225_600_000_000), Name: "Bob", Chat: [32]byte{1}, Namesakes: []chat.PersonID{},
	}
	if err != nil || !reflect.DeepEqual(r, want) {
		t.Errorf("%+v (%v)", r, err)
	}
	if got := encodeRecord(r); string(got) != string(record) {
		t.Errorf("written anew it is %x", got)
	}
	for stored, want := range map[string]chat.Privacy{
		"a401020201030104f4": {Nearby: chat.Everyone, Presence: chat.OnlyContacts, Typing: chat.OnlyContacts, Read: chat.OnlyContacts},
		"a401010202030204f5": {Nearby: chat.OnlyContacts, Presence: chat.Everyone, Typing: chat.OnlyContacts, Read: chat.Everyone, Invisible: true},
		"a401020200030004f4": {Nearby: chat.Everyone, Presence: chat.Nobody, Typing: chat.Nobody, Read: chat.Nobody},
	} {
		b, err := hex.DecodeString(stored)
		if err != nil {
			t.Fatal(err)
		}
		p, err := decodePrivacy(b)
		if err != nil || !reflect.DeepEqual(p.Face(), want) {
			t.Errorf("%s is %+v (%v)", stored, p.Face(), err)
		}
	}
}

func TestPrivacyIsReadAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		audience := func(what string) chat.Audience {
			return rapid.SampledFrom([]chat.Audience{chat.Everyone, chat.OnlyContacts, chat.Nobody, "groups:board,sales", "groups:x"}).Draw(t, what)
		}
		in := chat.Privacy{
			Nearby: audience("nearby"), Presence: audience("presence"), Typing: audience("typing"), Read: audience("read"), Invisible: rapid.Bool().Draw(t, "invisible"),
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "exceptions") {
			x := chat.PrivacyException{Person: personNo(i), Presence: rapid.Ptr(rapid.Bool(), true).Draw(t, "of presence"), Typing: rapid.Ptr(rapid.Bool(), true).Draw(t, "of typing")}
			if x.Read = rapid.Ptr(rapid.Bool(), x.Presence != nil || x.Typing != nil).Draw(t, "of read"); x.Read != nil || x.Presence != nil || x.Typing != nil {
				in.Exceptions = append(in.Exceptions, x)
			}
		}
		p, err := contacts.ParsePrivacy(in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodePrivacy(encodePrivacy(p))
		if err != nil || !reflect.DeepEqual(got.Face(), in) {
			t.Fatalf("%+v became %+v (%v)", in, got.Face(), err)
		}
	})
}

func TestAnExceptionEndsWithTheContact(t *testing.T) {
	n := alone(t, t.TempDir())
	meets(t, n, personNo(1), "Ben", contacts.Contact)
	meets(t, n, personNo(2), "Cleo", contacts.Contact)
	yes := true
	p := contacts.DefaultPrivacy().Face()
	p.Exceptions = []chat.PrivacyException{{Person: personNo(1), Presence: &yes}, {Person: personNo(2), Read: &yes}}
	if err := n.SetPrivacy(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	sub := n.Feed().Subscribe(n.Feed().Newest(), n.Facts)
	defer sub.Close()
	if err := n.ForgetContact(t.Context(), personNo(1)); err != nil {
		t.Fatal(err)
	}
	for told := false; !told; {
		events, err := sub.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range events {
			if ev, is := ev.(chat.PrivacyEvent); is {
				if told = true; len(ev.Exceptions) != 1 || ev.Exceptions[0].Person != personNo(2) {
					t.Errorf("%+v", ev.Exceptions)
				}
			}
		}
	}
	if got, err := decodePrivacy(stateOf(t, n, privacyKey)[privacyKey]); err != nil || len(got.Exceptions) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// stateOf returns what is stored under keys that begin so.
func stateOf(t *testing.T, n *Node, prefix string) map[string][]byte {
	t.Helper()
	out, err := n.store.State(t.Context(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
