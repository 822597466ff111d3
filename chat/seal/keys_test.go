package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

func TestPrekeysAreRenewedAndForgotten(t *testing.T) {
	alice := newMember(t, "alice")
	first := alice.Prekey()
	if p, ok := last[Publish](alice); !ok || !bytes.Equal(p.Prekey.Bytes(), first.Bytes()) || first.Verify() != nil {
		t.Fatal("the first prekey is not published")
	}
	alice.now = alice.now.Add(PrekeyLife - time.Second)
	alice.do(Tick{})
	alice.start()
	if got := alice.Prekey(); !bytes.Equal(got.Bytes(), first.Bytes()) {
		t.Error("a restart made another prekey")
	}
	alice.now = alice.now.Add(time.Second)
	alice.do(Tick{})
	second := alice.Prekey()
	if second.id == first.id || !second.CreatedAt.After(first.CreatedAt) {
		t.Error("the prekey was not renewed")
	}
	alice.now = alice.now.Add(PrekeyGrace - time.Second)
	alice.do(Tick{})
	if alice.prekeys[first.id] == nil {
		t.Error("forgotten too early")
	}
	alice.now = alice.now.Add(time.Second)
	alice.do(Tick{})
	if alice.prekeys[first.id] != nil || alice.state[prekeyKey(first.id)] != nil {
		t.Error("the private half of an old prekey is still there")
	}
	alice.wantPersisted()
	// A clock that was a year ahead: the others would not take its prekey.
	alice.now = noon
	alice.do(Tick{})
	if got := alice.Prekey().CreatedAt; !got.Equal(noon) {
		t.Errorf("the prekey is of %s", got)
	}
	n := count[Publish](alice)
	alice.do(Tick{})
	if count[Publish](alice) != n {
		t.Error("prekeys without end")
	}
}

// corrupt returns a prekey of a device that says it has this KEM key.
func prekeyWith(t testing.TB, name string, public []byte, at time.Time) Prekey {
	p, err := signPrekey(keyOf(name), public, at)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPrekeysThatAreNotRightAreExcludedAndHarmNobodyElse(t *testing.T) {
	mallory := newMember(t, "mallory")
	good := mallory.Prekey()
	lowOrder := slices.Concat(good.public[:kemPublic-32], make([]byte, 32))
	one := slices.Concat(good.public[:kemPublic-32], []byte{1}, make([]byte, 31))
	other := newMember(t, "other").Prekey()
	unsigned := good
	unsigned.sig = make([]byte, ed25519.SignatureSize)
	for name, bad := range map[string]struct {
		prekey Prekey
		code   chat.Code
	}{
		"none":                         {Prekey{}, chat.CodeNotFound},
		"of another device":            {other, chat.CodeInvalid},
		"not signed":                   {unsigned, chat.CodeInvalid},
		"garbage":                      {prekeyWith(t, "mallory", bytes.Repeat([]byte{0xff}, kemPublic), noon), chat.CodeInvalid},
		"zeros for X25519":             {prekeyWith(t, "mallory", lowOrder, noon), chat.CodeInvalid},
		"a low-order point for X25519": {prekeyWith(t, "mallory", one, noon), chat.CodeInvalid},
		"from the future":              {prekeyWith(t, "mallory", good.public, noon.Add(MaxFuturePrekey+time.Second)), chat.CodeClock},
	} {
		t.Run(name, func(t *testing.T) {
			alice, bob := newMember(t, "alice"), newMember(t, "bob")
			devices := []Recipient{{bob.cert, bob.Prekey()}, {mallory.cert, bad.prekey}}
			alice.do(Recipients{Room: office, Devices: devices})
			alice.say(office, "one")
			ex, ok := last[Excluded](alice)
			if !ok || ex.Device != mallory.device || chat.CodeOf(ex.Err) != bad.code {
				t.Fatalf("excluded %+v", ex)
			}
			alice.say(office, "two")
			if n := count[Excluded](alice); n != 1 {
				t.Errorf("said %d times", n)
			}
			bob.hear(office, alice.logs[office]...)
			bob.wantRead("one", "two")
			// The device puts it right, and is given the key.
			devices[1].Prekey = mallory.Prekey()
			alice.do(Recipients{Room: office, Devices: devices})
			again := newMember(t, "mallory")
			again.hear(office, alice.say(office, "three")...)
			again.wantRead("three")
			alice.wantPersisted()
		})
	}
	t.Run("a certificate that is another's", func(t *testing.T) {
		alice, bob := newMember(t, "alice"), newMember(t, "bob")
		forged := bob.cert
		forged.Root = mallory.cert.Root
		alice.do(Recipients{Room: office, Devices: []Recipient{{forged, bob.Prekey()}}})
		alice.say(office, "x")
		if ex, ok := last[Excluded](alice); !ok || chat.CodeOf(ex.Err) != chat.CodeInvalid {
			t.Errorf("excluded %+v", ex)
		}
	})
	t.Run("an older one", func(t *testing.T) {
		alice, bob := newMember(t, "alice"), newMember(t, "bob")
		old := bob.Prekey()
		bob.now = bob.now.Add(PrekeyLife)
		bob.do(Tick{})
		alice.now = bob.now
		alice.share(office, bob)
		alice.say(office, "x")
		alice.now = alice.now.Add(PairLife) // a new pair root is due
		alice.start()
		for _, p := range []Prekey{old, {}} {
			alice.do(Recipients{Room: office, Devices: []Recipient{{bob.cert, p}}})
			alice.do(Rotate{Room: office})
			sent := alice.say(office, "y")
			if sl := mustSlot(t, sent[0], bob); !bytes.HasPrefix(sl.Key, bob.prekey.signed.id[:]) {
				t.Error("an old prekey, whose private half may have been stolen, was used again")
			}
		}
		alice.wantPersisted()
	})
}

func TestAnEncapsulationThatIsNoneIsRefused(t *testing.T) {
	alice, bob, _ := trio(t)
	sent := alice.say(office, "x")
	s, err := decodeShare(office, sent[0].Payload)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(key []byte){
		"zeros for X25519": func(key []byte) { clear(key[len(key)-32:]) },
		"another":          func(key []byte) { key[idSize] ^= 1 },
	} {
		t.Run(name, func(t *testing.T) {
			bob := newMember(t, "bob")
			bad := s
			bad.Slots = slices.Clone(s.Slots)
			for i := range bad.Slots {
				bad.Slots[i].Key = bytes.Clone(bad.Slots[i].Key)
				spoil(bad.Slots[i].Key)
			}
			before := bob.Snapshot()
			bob.hear(office, alice.sign(office, wire.KindKeyShare, sent[0].Epoch, encodeShare(office, bad)[0]))
			bob.wantRefused(alice.device)
			if len(bob.from) != 0 || len(bob.Snapshot()) != len(before)+1 { // the announcement itself
				t.Error("something of it was kept")
			}
		})
	}
	bob.hear(office, sent...)
	bob.wantRead("x")
}

func TestTheEncapsulationIsSentUntilItIsAcknowledged(t *testing.T) {
	alice, bob := newMember(t, "alice"), newMember(t, "bob")
	meet(office, alice, bob)
	size := func() int {
		alice.do(Rotate{Room: office})
		sent := alice.say(office, "x")
		bob.hear(office, sent...)
		return len(sent[0].Payload)
	}
	long := size()
	if again := size(); again != long {
		t.Fatalf("first %d, then %d bytes without an acknowledgement", long, again)
	}
	ack, ok := last[Acknowledge](bob)
	if !ok || ack.To != alice.device {
		t.Fatal("no acknowledgement")
	}
	alice.do(Acknowledged{From: chat.DeviceID{1}, Root: ack.Root}) // by somebody else
	alice.do(Acknowledged{From: bob.device})                       // of another root
	if size() != long {
		t.Error("a false acknowledgement counts")
	}
	alice.do(Acknowledged{From: bob.device, Root: ack.Root})
	short := size()
	if short > long-encSize {
		t.Errorf("%d bytes, then %d", long, short)
	}
	if n := len(bob.read); n != 4 {
		t.Errorf("%d messages read", n)
	}
	alice.now = alice.now.Add(PairLife)
	bob.now = alice.now
	if size() != long {
		t.Error("a pair root outlived its week")
	}
	alice.wantPersisted()
	bob.wantPersisted()
}

func TestALargeRoomIsSharedInSeveralEntries(t *testing.T) {
	alice := newMember(t, "alice")
	var all []*member
	for i := range 40 {
		all = append(all, newMember(t, fmt.Sprint("member ", i)))
	}
	meet(office, append(all, alice)...)
	sent := alice.say(office, "hello all")
	if n := len(ofKind(sent, wire.KindKeyShare)); n != 4 { // 13 slots with an encapsulation fit one
		t.Errorf("%d shares", n)
	}
	for _, m := range all {
		m.hear(office, sent...)
		m.wantRead("hello all")
	}
}

func TestAShareFromTheWrongDeviceGivesNoKey(t *testing.T) {
	alice, bob, carol := trio(t)
	sent := alice.say(office, "x")
	// Bob passes Alice's share on as his own; it names the epoch of Bob, not hers.
	carol.hear(office, bob.sign(office, wire.KindKeyShare, sent[0].Epoch, sent[0].Payload))
	carol.wantRefused(bob.device)
	// He guesses her next epoch and takes its number first.
	carol.hear(office, bob.forge(sent[1].Epoch+1, secret{9}, carol)...)
	if carol.rooms[office].epoch(alice.device, sent[1].Epoch+1) != nil {
		t.Error("an epoch of Alice's came from Bob")
	}
	carol.hear(office, sent...)
	carol.wantRead("x")
}

func TestAForgedShareGivesNoKey(t *testing.T) {
	alice, bob, carol := trio(t)
	sent := alice.say(office, "x")
	ck := alice.rooms[office].current.start
	// Carol knows the key and the room, but not the root of Alice and Bob: she
	// can't make a slot that Bob takes for Alice's, even with Alice's signature.
	commit := commitment(office, alice.device, 77, 0, ck)
	s := share{Commit: commit, Slots: []slot{{
		To:  slotTo(office, commit, bob.device),
		Key: mustSlot(t, sent[0], bob).Key,
		Box: wrap(secret{1}, ck, commit, [32]byte{}, alice.device, bob.device),
	}}}
	bob.hear(office, alice.sign(office, wire.KindKeyShare, 77, encodeShare(office, s)[0]))
	bob.wantRefused(alice.device)
	if ep := bob.rooms[office].epoch(alice.device, 77); ep.held {
		t.Error("a forged slot gave a key")
	}
	carol.hear(office, sent...)
	carol.wantRead("x")
}

func mustSlot(t testing.TB, en wire.Entry, of *member) slot {
	s, err := decodeShare(office, en.Payload)
	if err != nil {
		t.Fatal(err)
	}
	sl, ok := s.slotFor(office, of.device)
	if !ok {
		t.Fatal("no slot")
	}
	return sl
}

func TestStateThatWasRolledBackReusesNoKey(t *testing.T) {
	alice, bob, carol := trio(t)
	alice.say(office, "before the backup")
	backup := alice.Snapshot()
	used := map[string]bool{}
	seen := func(entries []wire.Entry) {
		t.Helper()
		for _, en := range ofKind(entries, wire.KindMessage) {
			s, err := decodeSealed(en.Payload)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range []string{fmt.Sprint(en.Epoch, "/", s.N), string(s.Box[:nonceSize])} {
				if used[id] {
					t.Errorf("%x was used twice", id)
				}
				used[id] = true
			}
		}
	}
	var all []wire.Entry
	for range 3 { // the same backup three times, as also a crash before the disk was written
		alice.state = cloneState(backup)
		alice.start()
		alice.share(office, alice, bob, carol)
		for range 3 {
			sent := alice.say(office, "after")
			seen(sent)
			all = append(all, sent...)
		}
	}
	bob.hear(office, all...)
	if len(bob.read) != 9 {
		t.Errorf("read %q", bob.read)
	}
}

func cloneState(m map[string][]byte) map[string][]byte {
	out := map[string][]byte{}
	for k, v := range m {
		out[k] = bytes.Clone(v)
	}
	return out
}

func TestEveryKeyIsPersistedBeforeItIsSaid(t *testing.T) {
	// A crash between any two effects: what went out by then can be answered for.
	alice, bob, carol := trio(t)
	effects := alice.Handle(alice.now, Seal{Room: office, Kind: wire.KindMessage, Plaintext: []byte("x")})
	state := cloneState(alice.state)
	for _, f := range effects {
		switch f := f.(type) {
		case Persist:
			state[f.Key] = f.Value
		case Append:
			e, err := New(alice.cfg, state)
			if err != nil {
				t.Fatal(err)
			}
			if e.rooms[office].own[f.Epoch] == nil || e.to[bob.device] == nil || e.to[carol.device] == nil {
				t.Errorf("kind %d goes out before its keys are stored", f.Kind)
			}
		}
	}
	sameState(t, "alice's disk", state, alice.Snapshot())
}

func TestACrashWhileOpeningLosesNoMessageAndOpensNoneTwice(t *testing.T) {
	alice, bob, carol := trio(t)
	sent := alice.say(office, "zero")
	for range 100 {
		sent = append(sent, alice.say(office, "x")...)
	}
	bob.hear(office, sent[:2]...)
	state := cloneState(bob.state)
	effects := bob.Handle(bob.now, Receive{Room: office, Entry: sent[90]})
	for cut := range effects {
		b := newMember(t, "bob")
		b.state = cloneState(state)
		for _, f := range effects[:cut] {
			if p, ok := f.(Persist); ok {
				b.state[p.Key] = p.Value
			}
		}
		b.start()
		b.share(office, alice, bob, carol)
		b.hear(office, sent[90]) // its effects were cut short
		b.hear(office, sent[2:]...)
		b.hear(office, sent[2:]...)
		if len(b.read) != 100 || b.skipped != 0 {
			t.Errorf("cut after %d of %d effects: %d messages read, %d keys left", cut, len(effects), len(b.read), b.skipped)
		}
		b.wantPersisted()
	}
}

// The same machine twice, down to its randomness, as when a virtual machine is
// copied while it runs.
func TestEqualRandomnessDoesNotMakeEqualNonces(t *testing.T) {
	var nonces [][]byte
	var ck secret
	ad := []byte("x")
	for _, text := range []string{"attack", "retreat"} {
		box := sealBox(ck, [nonceSize]byte{}, []byte(text), ad)
		nonces = append(nonces, box[:nonceSize])
		if got, err := openBox(messageKey(ck), box, ad); err != nil || string(got) != text {
			t.Errorf("opened %q, %v", got, err)
		}
	}
	if bytes.Equal(nonces[0], nonces[1]) {
		t.Error("one key, one nonce, two messages")
	}
}

func TestPaddingHasOneForm(t *testing.T) {
	sizes := map[int]bool{}
	for n := range MaxPlaintext + 1 {
		b := bytes.Repeat([]byte{0x80}, n)
		padded := pad(b)
		sizes[len(padded)] = true
		if got, err := unpad(padded); err != nil || !bytes.Equal(got, b) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	if len(sizes) != 34 || !sizes[MaxPlaintext+1] {
		t.Errorf("%d sizes", len(sizes))
	}
	for name, b := range map[string][]byte{
		"empty":          {},
		"no mark":        make([]byte, 64),
		"another bucket": append([]byte{1, 0x80}, make([]byte, 126)...),
		"dirt behind":    append([]byte{0x80}, bytes.Repeat([]byte{1}, 63)...),
	} {
		if _, err := unpad(b); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestKeysThatNothingIsExpectedForAreForgotten(t *testing.T) {
	alice, bob, _ := trio(t)
	sent := alice.say(office, "x")
	sent = append(sent, alice.say(office, "y")...)
	bob.hear(office, sent[0], sent[2]) // "x" is skipped
	bob.wantPersisted()
	for _, m := range []*member{alice, bob} {
		m.now = m.now.Add(KeyLife)
		m.do(Tick{})
		m.wantPersisted()
		if n := len(m.state); n != 2 { // two prekeys
			t.Errorf("%s still has %d values", m.name, n)
		}
	}
	if bob.skipped != 0 {
		t.Error("skipped keys are still counted")
	}
}

func TestLeavingARoomForgetsItsKeys(t *testing.T) {
	alice, bob, carol := trio(t)
	meet(cellar, alice, bob, carol)
	for _, room := range []chat.RoomID{office, cellar} {
		bob.hear(room, alice.say(room, "x")...)
		bob.say(room, "y")
	}
	bob.hear(office, alice.sign(office, wire.KindMessage, 7, message(alice, 7, 0, secret{}, "waits")))
	bob.do(Leave{Room: office})
	if bob.waiting.count+len(bob.waiting.wanted) != 0 {
		t.Error("an entry of the room still waits")
	}
	bob.do(Leave{Room: office})
	bob.wantPersisted()
	for k := range bob.state {
		if bytes.Contains([]byte(k), fmt.Appendf(nil, "%x", office[:])) {
			t.Errorf("%s is still there", k)
		}
	}
	bob.hear(cellar, alice.say(cellar, "z")...)
	bob.wantRead("x", "x", "z")
}

func TestADamagedKeyStateIsNotTakenForAnother(t *testing.T) {
	alice, bob, _ := trio(t)
	sent := alice.say(office, "x")
	sent = append(sent, alice.say(office, "y")...)
	bob.hear(office, sent[0], sent[2])
	bob.say(office, "z")
	for k, v := range bob.state {
		for name, bad := range map[string]map[string][]byte{
			"cut":         {k: v[:len(v)-1]},
			"empty":       {k: {}},
			"name cut":    {k: nil, k[:len(k)-2] + "x": v},
			"name longer": {k: nil, k + "/1": v},
		} {
			state := cloneState(bob.state)
			for bk, bv := range bad {
				if state[bk] = bv; bv == nil {
					delete(state, bk)
				}
			}
			if _, err := New(bob.cfg, state); chat.CodeOf(err) != chat.CodeHomeBroken {
				t.Errorf("%s, %s: %v", k, name, err)
			}
		}
	}
	if _, err := New(bob.cfg, map[string][]byte{"future/00": {0xa0}}); chat.CodeOf(err) != chat.CodeHomeBroken {
		t.Error("an unknown name was overlooked")
	}
	sum := sha256.Sum256(nil)
	if _, err := New(bob.cfg, map[string][]byte{prekeyKey(shortID(sum[:idSize])): wire.Marshal(prekeyState{Seed: []byte{1}})}); err == nil {
		t.Error("a seed of one byte was taken")
	}
}
