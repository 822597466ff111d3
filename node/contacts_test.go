package node

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"earshot/chat"
	"earshot/chat/contacts"
	"earshot/chat/identity"
	"earshot/node/store"
)

// asker is a stranger with a valid identity.
type asker struct {
	cert   identity.Certificate
	engine *contacts.Engine
}

func newAsker(t *testing.T, name string, nonce byte) asker {
	t.Helper()
	_, root, _ := ed25519.GenerateKey(nil)
	public, key, _ := ed25519.GenerateKey(nil)
	cert, err := identity.Sign(root, chat.DeviceID(public), time.Now(), "")
	if err != nil {
		t.Fatal(err)
	}
	return asker{cert, contacts.New(contacts.Config{
		Key: key, Certificate: cert, Name: name,
		NewNonce: func() (n [contacts.NonceSize]byte) { n[0] = nonce; return n },
	})}
}

// request returns what the asker sends to somebody.
func (a asker) request(t *testing.T, to chat.PersonID, note string) contacts.Receive {
	t.Helper()
	now := time.Now()
	a.engine.Handle(now, contacts.Met{Person: to, Device: chat.DeviceID{1}})
	for _, ef := range a.engine.Handle(now, contacts.Add{Person: to, Note: note}) {
		if send, ok := ef.(contacts.Send); ok {
			return contacts.Receive{From: a.cert.Person(), Device: a.cert.Device, Message: send.Message}
		}
	}
	t.Fatal("no request was made")
	return contacts.Receive{}
}

// state returns what the store holds of relations.
func state(t *testing.T, n *Node) map[string][]byte {
	t.Helper()
	out, err := n.store.State(t.Context(), "contact")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTenThousandRequestsMustCostTwentyPlacesAndLittleElse(t *testing.T) {
	n := alone(t, t.TempDir())
	const flood = 10_000
	asks := make([]contacts.Receive, 0, flood)
	for i := range flood {
		asks = append(asks, newAsker(t, "Mallory", byte(i)).request(t, n.person, fmt.Sprint("request ", i)))
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, start := heap(), time.Now()
	for _, in := range asks {
		if err := n.do(t.Context(), func(c *core) { c.contact(in, nil) }); err != nil {
			t.Fatal(err)
		}
	}
	took := time.Since(start)
	list, err := n.Contacts(t.Context())
	if err != nil || len(list) != contacts.MaxTray {
		t.Errorf("%d requests wait (%v)", len(list), err)
	}
	people, err := n.People(t.Context())
	if err != nil || len(people) != contacts.MaxTray+1 {
		t.Errorf("%d people are known (%v)", len(people), err)
	}
	if held := state(t, n); len(held) > 2*contacts.MaxTray {
		t.Errorf("%d values are stored", len(held))
	}
	if now := heap(); now > before+8<<20 {
		t.Errorf("%d KiB are held", (now-before)>>10)
	}
	t.Logf("%v for each request", took/flood)
}

func TestWhatADiskDidNotTakeIsStoredLater(t *testing.T) {
	n := alone(t, t.TempDir())
	eve := personNo(5)
	if err := n.BlockPerson(t.Context(), eve); err != nil {
		t.Fatal(err)
	}
	key := recordKey(eve)
	if state(t, n)[key] == nil {
		t.Fatal("it is not stored at all")
	}
	// As if the disk had been full.
	lost := make(chan error, 1)
	n.store.Commit(store.Batch{State: []store.StateChange{{Key: key}}}, func(_ []chat.Cursor, err error) { lost <- err })
	if err := <-lost; err != nil {
		t.Fatal(err)
	}
	if err := n.do(t.Context(), func(c *core) {
		c.unsaved([]contacts.Record{{Person: eve}}) // an older one: what is true now is stored
		c.circle.retryAt = c.now
	}); err != nil {
		t.Fatal(err)
	}
	for late := time.Now().Add(10 * time.Second); ; {
		if b := state(t, n)[key]; b != nil {
			if r, err := decodeRecord(b); err != nil || r.Relation != contacts.Blocked {
				t.Errorf("%+v is stored (%v)", r, err)
			}
			break
		}
		if time.Now().After(late) {
			t.Fatal("it is never stored")
		}
	}
}

func TestAHomeWhoseRelationsCannotBeReadIsNotOpened(t *testing.T) {
	for key, value := range map[string][]byte{
		recordKey(personNo(1)): {0xff}, recordKey(personNo(2)): encodeRecord(contacts.Record{Relation: 77}),
		privacyKey: encodePrivacy(contacts.Privacy{Nearby: contacts.Audience{Kind: 9}}),
	} {
		home := t.TempDir()
		n := alone(t, home)
		stored := make(chan error, 1)
		n.store.Commit(store.Batch{State: []store.StateChange{{Key: key, Value: value}}}, func(_ []chat.Cursor, err error) { stored <- err })
		if err := <-stored; err != nil {
			t.Fatal(err)
		}
		if err := n.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		again, err := Start(t.Context(), Config{Home: home, Offline: true})
		if chat.CodeOf(err) != chat.CodeHomeBroken || !strings.Contains(err.Error(), "backup") {
			t.Errorf("%q: %v", key, err)
		}
		if err == nil {
			_ = again.Close(context.Background())
		}
	}
}

func TestRecordsAreReadAsTheyWereWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := func(label string) (p chat.PersonID) {
			copy(p[:], rapid.SliceOfN(rapid.Byte(), 0, len(p)).Draw(t, label))
			return p
		}
		long := func(label string) (b [32]byte) {
			copy(b[:], rapid.SliceOfN(rapid.Byte(), 0, len(b)).Draw(t, label))
			return b
		}
		at := func(label string) time.Time {
			return moment(rapid.Uint64Range(0, 1<<52).Draw(t, label))
		}
		r := contacts.Record{
			Person: id("person"), Relation: contacts.Relation(rapid.IntRange(0, int(contacts.Blocked)).Draw(t, "relation")), Since: at("since"),
			Name: rapid.String().Draw(t, "name"), Note: rapid.String().Draw(t, "note"), Device: long("device"), Request: long("request"), Chat: long("chat"),
			Message: rapid.SliceOfN(rapid.Byte(), 1, contacts.MaxMessage).Draw(t, "message"), Tries: rapid.IntRange(0, 26).Draw(t, "tries"),
			NextTry: at("next"), DeclinedUntil: at("declined"), Claimant: id("claimant"), QuietUntil: at("quiet"),
			Forgotten: rapid.Bool().Draw(t, "forgotten"),
			Sorting: contacts.Sorting{
				Groups: rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "groups"), GroupsAt: at("grouped"), Team: rapid.Bool().Draw(t, "team"), TeamAt: at("teamed"),
				Watched: rapid.Bool().Draw(t, "watched"), WatchedAt: at("watched at"),
			},
		}
		for range rapid.IntRange(0, 16).Draw(t, "namesakes") {
			r.Namesakes = append(r.Namesakes, id("namesake"))
		}
		raw := encodeRecord(r)
		got, err := decodeRecord(raw)
		if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", r) || !bytes.Equal(encodeRecord(got), raw) {
			t.Fatalf("%+v became %+v (%v)", r, got, err)
		}
	})
}

func TestWhyNothingCanBeSentHasACodeAndKeysAreKept(t *testing.T) {
	n := alone(t, t.TempDir())
	ask := func(who chat.PersonID, in contacts.Input) {
		t.Helper()
		if err := n.decide(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	ask(personNo(2), contacts.Add{Person: personNo(2)})
	ask(personNo(3), contacts.Block{Person: personNo(3)})
	friend := newAsker(t, "Ben", 1)
	if err := n.do(t.Context(), func(c *core) { c.contact(friend.request(t, n.person, ""), nil) }); err != nil {
		t.Fatal(err)
	}
	ask(friend.cert.Person(), contacts.Accept{Person: friend.cert.Person()})
	for who, want := range map[chat.PersonID]chat.Code{
		personNo(1): chat.CodeNotContact, personNo(2): chat.CodeNotContact, personNo(3): chat.CodeDenied, n.person: "", friend.cert.Person(): "",
	} {
		if err := n.do(t.Context(), func(c *core) {
			if err := c.maySend(who); chat.CodeOf(err) != want {
				t.Errorf("%s: %v, and not %q", who.Short(), err, want)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	// Their key is kept with the relation, so that it can be compared when they are away.
	if _, known := state(t, n)[rootKey(friend.cert.Person())]; known {
		t.Error("a root key is stored of somebody who never showed it")
	}
	if err := n.do(t.Context(), func(c *core) {
		c.people.persons[friend.cert.Person()].root = friend.cert.Root[:]
		c.keepRoot(friend.cert.Person())
	}); err != nil {
		t.Fatal(err)
	}
	ask(personNo(4), contacts.Block{Person: personNo(4)}) // behind it in the store's queue
	if root := state(t, n)[rootKey(friend.cert.Person())]; !bytes.Equal(root, friend.cert.Root[:]) {
		t.Errorf("%x is stored", root)
	}
}

func TestDoorsLetInWhoBelongs(t *testing.T) {
	n := alone(t, t.TempDir())
	friend, foe, own, stranger := numbered(1), numbered(2), numbered(3), numbered(4)
	if err := n.do(t.Context(), func(c *core) {
		c.meet(friend, personNo(1), "Ben", c.now)
		c.meet(foe, personNo(2), "Eve", c.now)
		c.meet(own, n.person, "Ann", c.now)
	}); err != nil {
		t.Fatal(err)
	}
	if err := n.BlockPerson(t.Context(), personNo(2)); err != nil {
		t.Fatal(err)
	}
	check := func(when string, in, out []chat.DeviceID, look, announce, hidden bool) {
		t.Helper()
		for _, d := range in {
			if n.refuses(d) {
				t.Errorf("%s: %s is refused", when, d.Short())
			}
		}
		for _, d := range out {
			if !n.refuses(d) {
				t.Errorf("%s: %s is let in", when, d.Short())
			}
		}
		l, a, _ := n.doors.seeking()
		if l != look || a != announce || n.doors.hidden() != hidden {
			t.Errorf("%s: looks %v, announces %v, hides %v", when, l, a, n.doors.hidden())
		}
	}
	ids := func(d ...chat.DeviceID) []chat.DeviceID { return d }
	check("at first", ids(friend, own, stranger), ids(foe), true, true, false)
	set := func(p chat.Privacy) {
		t.Helper()
		if err := n.SetPrivacy(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	everyone := chat.Privacy{Nearby: chat.Everyone, Presence: chat.Everyone, Read: chat.Everyone}
	hidden := everyone
	hidden.Invisible = true
	set(hidden)
	check("invisible", ids(own), ids(friend, foe, stranger), true, false, true)
	nobody := everyone
	nobody.Nearby = chat.Nobody
	set(nobody)
	check("for nobody", ids(own), ids(friend, foe, stranger), true, false, true)
	set(everyone)
	check("again", ids(friend, own, stranger), ids(foe), true, true, false)
	if err := n.UnblockPerson(t.Context(), personNo(2)); err != nil {
		t.Fatal(err)
	}
	check("unblocked", ids(friend, foe, own, stranger), nil, true, true, false)
}

func TestWhoHasNoOtherDeviceDoesNotEvenAskWhileHidden(t *testing.T) {
	n := alone(t, t.TempDir())
	if err := n.SetPrivacy(t.Context(), chat.Privacy{Nearby: chat.Everyone, Presence: chat.Everyone, Read: chat.Everyone, Invisible: true}); err != nil {
		t.Fatal(err)
	}
	if look, announce, _ := n.doors.seeking(); look || announce {
		t.Errorf("looks %v, announces %v", look, announce)
	}
}
