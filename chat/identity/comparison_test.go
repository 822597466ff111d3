package identity

import (
	"bytes"
	"crypto/ed25519"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/clipperhouse/displaywidth"

	"earshot/chat"
)

var (
	ann = Side{Root: rootOf(1), Device: device(2)}
	bob = Side{Root: rootOf(3), Device: device(4)}
)

// compared is a comparison of Ann, who begins, and Bob, up to the symbols.
type compared struct {
	ann, bob              *Comparison
	commit, nonce, reveal []byte
}

func compare(t testing.TB) compared {
	t.Helper()
	var c compared
	var err error
	c.ann, c.commit, err = Compare(issued, seeded("ann"), key(2), ann, bob)
	if err != nil {
		t.Fatal(err)
	}
	if c.bob, err = Respond(issued, seeded("bob"), key(4), bob, ann); err != nil {
		t.Fatal(err)
	}
	c.nonce = hear(t, c.bob, c.commit)
	c.reveal = hear(t, c.ann, c.nonce)
	if last := hear(t, c.bob, c.reveal); last != nil {
		t.Fatalf("an answer to the reveal: %x", last)
	}
	return c
}

func hear(t testing.TB, c *Comparison, message []byte) []byte {
	t.Helper()
	reply, err := c.Receive(issued, message)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

func say(t testing.TB, c *Comparison, same bool) []byte {
	t.Helper()
	message, err := c.Say(issued, same)
	if err != nil {
		t.Fatal(err)
	}
	return message
}

func TestTheTranscriptOfAComparison(t *testing.T) {
	c := compare(t)
	type vector struct {
		RootA, DeviceA, RootB, DeviceB hexBytes // seeds: 32 times 1, 2, 3, 4
		Commit, Nonce, Reveal          hexBytes
		Transcript                     hexBytes
		Symbols                        []string
		VerdictA, VerdictB             hexBytes
		SafetyNumber                   string
	}
	v := vector{
		RootA: ann.Root[:], DeviceA: ann.Device[:], RootB: bob.Root[:], DeviceB: bob.Device[:],
		Commit: c.commit, Nonce: c.nonce, Reveal: c.reveal, Transcript: c.ann.transcript,
		SafetyNumber: SafetyNumber(public(1), public(3)),
	}
	a, ok := c.ann.Symbols()
	b, also := c.bob.Symbols()
	if !ok || !also || a != b {
		t.Fatalf("%v, %v", a, b)
	}
	for _, s := range a {
		v.Symbols = append(v.Symbols, s.String())
	}
	v.VerdictA, v.VerdictB = say(t, c.ann, true), say(t, c.bob, true)
	if c.ann.Verified() || c.bob.Verified() {
		t.Error("verified by one person's word")
	}
	hear(t, c.ann, v.VerdictB)
	hear(t, c.bob, v.VerdictA)
	if !c.ann.Verified() || !c.bob.Verified() {
		t.Error("not verified by both")
	}
	published(t, "verification.json", v)
	for _, m := range [][]byte{c.commit, c.nonce, c.reveal, v.VerdictA} {
		if len(m) > MaxComparisonMessage {
			t.Errorf("a message of %d bytes", len(m))
		}
	}
	if _, err := c.ann.Receive(issued, v.VerdictB); err == nil || !c.ann.Verified() {
		t.Error("a message after the last is taken, or undoes the verification")
	}
	if c.ann.Cancel(); !c.ann.Verified() {
		t.Error("what is done can be cancelled")
	}
}

func TestSymbolsAreDistinctAndWide(t *testing.T) {
	seen := map[string]bool{}
	word := regexp.MustCompile(`^[a-z]+$`)
	for _, s := range symbols {
		if len([]rune(s.Emoji)) != 1 || displaywidth.String(s.Emoji) != 2 || !word.MatchString(s.Name) {
			t.Errorf("%q %q", s.Emoji, s.Name)
		}
		if seen[s.Emoji] || seen[s.Name] || chat.CleanText(s.Emoji) != s.Emoji {
			t.Errorf("%s is there twice, or can't be shown", s)
		}
		seen[s.Emoji], seen[s.Name] = true, true
	}
}

// Whoever sits in between has another root towards each side: the symbols differ,
// whatever it passes on.
func TestWhoSitsInBetweenIsSeen(t *testing.T) {
	mallory := Side{Root: rootOf(9), Device: device(8)}
	annsView, commit, err := Compare(issued, seeded("ann"), key(2), ann, mallory)
	if err != nil {
		t.Fatal(err)
	}
	bobsView, err := Respond(issued, seeded("bob"), key(4), bob, mallory)
	if err != nil {
		t.Fatal(err)
	}
	// She passes messages on as they are: the commitment names other sides.
	reveal := hear(t, annsView, hear(t, bobsView, commit))
	if _, err := bobsView.Receive(issued, reveal); err == nil {
		t.Error("a commitment between others is taken")
	}
	// She plays both sides: two transcripts.
	toAnn, err := Respond(issued, seeded("m1"), key(8), mallory, ann)
	if err != nil {
		t.Fatal(err)
	}
	annsView, commit, err = Compare(issued, seeded("ann"), key(2), ann, mallory)
	if err != nil {
		t.Fatal(err)
	}
	hear(t, toAnn, hear(t, annsView, hear(t, toAnn, commit)))
	toBob, commit, err := Compare(issued, seeded("m2"), key(8), mallory, bob)
	if err != nil {
		t.Fatal(err)
	}
	bobsView, err = Respond(issued, seeded("bob"), key(4), bob, mallory)
	if err != nil {
		t.Fatal(err)
	}
	hear(t, bobsView, hear(t, toBob, hear(t, bobsView, commit)))
	a, _ := annsView.Symbols()
	b, _ := bobsView.Symbols()
	if a == b {
		t.Error("the same symbols on both sides of a stranger")
	}
	// Ann says that they differ, and no verdict of Bob's changes that.
	say(t, annsView, false)
	if _, err := annsView.Receive(issued, say(t, bobsView, true)); err == nil || annsView.Verified() {
		t.Error("verified although they differ")
	}
}

func TestACommitmentCannotBeChangedAfterTheOtherNonceIsKnown(t *testing.T) {
	c := compare(t)
	bob2, err := Respond(issued, seeded("bob"), key(4), bob, ann)
	if err != nil {
		t.Fatal(err)
	}
	hear(t, bob2, c.commit)
	if _, ok := bob2.Symbols(); ok {
		t.Error("symbols before the reveal")
	}
	other := must(encMode.Marshal(sasReveal{Nonce: make([]byte, nonceSize)}))
	if _, err := bob2.Receive(issued, other); chat.CodeOf(err) != chat.CodeInvalid {
		t.Errorf("another nonce is revealed: %v", err)
	}
	if _, err := bob2.Receive(issued, c.reveal); err == nil {
		t.Error("a second try at revealing")
	}
	if _, err := bob2.Say(issued, true); err == nil || bob2.Verified() {
		t.Error("an attempt that has ended goes on")
	}
}

func TestAMessageSentBackIsRefused(t *testing.T) {
	a, commit, err := Compare(issued, seeded("ann"), key(2), ann, bob)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Receive(issued, commit); chat.CodeOf(err) != chat.CodeInvalid {
		t.Errorf("its own commitment: %v", err)
	}
	c := compare(t)
	verdict := say(t, c.ann, true)
	if _, err := c.ann.Receive(issued, verdict); chat.CodeOf(err) != chat.CodeInvalid || c.ann.Verified() {
		t.Errorf("its own verdict: %v", err)
	}
}

func TestSwappedRolesGiveOtherCommitmentsAndSymbols(t *testing.T) {
	a, _, err := Compare(issued, seeded("ann"), key(2), ann, bob)
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := Compare(issued, seeded("ann"), key(4), bob, ann)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a.commit, b.commit) {
		t.Error("one commitment for both roles")
	}
}

func TestMessagesOfAnEarlierComparisonAreRefused(t *testing.T) {
	old := compare(t)
	verdict := say(t, old.bob, true)
	a, _, err := Compare(issued, seeded("anew"), key(2), ann, bob)
	if err != nil {
		t.Fatal(err)
	}
	hear(t, a, old.nonce) // a nonce says nothing yet
	say(t, a, true)
	if _, err := a.Receive(issued, verdict); chat.CodeOf(err) != chat.CodeInvalid || a.Verified() {
		t.Errorf("an old verdict: %v", err)
	}
}

func TestAComparisonEndsForGood(t *testing.T) {
	long := strings.Repeat("x", MaxComparisonMessage+1)
	for name, spoil := range map[string]func(c compared) error{
		"too late":       func(c compared) error { _, err := c.ann.Receive(issued.Add(time.Hour), nil); return err },
		"said too late":  func(c compared) error { _, err := c.ann.Say(issued.Add(time.Hour), true); return err },
		"too long":       func(c compared) error { _, err := c.ann.Receive(issued, []byte(long)); return err },
		"noise":          func(c compared) error { _, err := c.ann.Receive(issued, []byte("noise")); return err },
		"a second nonce": func(c compared) error { _, err := c.ann.Receive(issued, c.nonce); return err },
		"they differ":    func(c compared) error { _, err := c.ann.Receive(issued, say(t, c.bob, false)); return err },
		"I differ":       func(c compared) error { say(t, c.ann, false); return c.ann.ended },
		"cancelled":      func(c compared) error { c.ann.Cancel(); return c.ann.ended },
		"a third's verdict": func(c compared) error {
			sig := ed25519.Sign(key(9), c.ann.verdict(false, true))
			_, err := c.ann.Receive(issued, must(encMode.Marshal(sasVerdict{Same: true, Sig: sig})))
			return err
		},
		"two verdicts": func(c compared) error {
			v := say(t, c.bob, true)
			hear(t, c.ann, v)
			_, err := c.ann.Receive(issued, v)
			return err
		},
	} {
		c := compare(t)
		err := spoil(c)
		if err == nil || chat.CodeOf(err) == chat.CodeInternal || !strings.HasSuffix(err.Error(), ".") {
			t.Errorf("%s: %v", name, err)
		}
		if _, ok := c.ann.Symbols(); ok || c.ann.Verified() {
			t.Errorf("%s: it goes on", name)
		}
		if _, again := c.ann.Say(issued, true); again == nil {
			t.Errorf("%s: it can still be confirmed", name)
		}
		if _, again := c.ann.Receive(issued, nil); again == nil {
			t.Errorf("%s: it still listens", name)
		}
	}
	c := compare(t)
	say(t, c.ann, true)
	if _, err := c.ann.Say(issued, true); chat.CodeOf(err) != chat.CodeUsage {
		t.Errorf("said twice: %v", err)
	}
}

func TestAComparisonNeedsTwo(t *testing.T) {
	for name, c := range map[string]struct {
		key       ed25519.PrivateKey
		own, peer Side
		rand      io.Reader
	}{
		"oneself":           {key(2), ann, Side{Root: ann.Root, Device: device(4)}, seeded("")},
		"one device":        {key(2), ann, Side{Root: bob.Root, Device: ann.Device}, seeded("")},
		"another's key":     {key(4), ann, bob, seeded("")},
		"no key":            {nil, ann, bob, seeded("")},
		"too little chance": {key(2), ann, bob, bytes.NewReader(make([]byte, 31))},
	} {
		if _, _, err := Compare(issued, c.rand, c.key, c.own, c.peer); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestSafetyNumbersAreOneForBothAndOtherForOthers(t *testing.T) {
	n := SafetyNumber(public(1), public(3))
	if n != SafetyNumber(public(3), public(1)) {
		t.Error("each side sees another number")
	}
	if !regexp.MustCompile(`^(\d{5} ){11}\d{5}$`).MatchString(n) {
		t.Errorf("%q", n)
	}
	for b := byte(4); b < 40; b++ {
		if SafetyNumber(public(1), public(b)) == n || SafetyNumber(public(b), public(3)) == n {
			t.Error("another root, the same number")
		}
	}
}

func FuzzComparison(f *testing.F) {
	c := compare(f)
	for _, m := range [][]byte{c.commit, c.nonce, c.reveal, say(f, c.ann, true), say(f, c.bob, true)} {
		f.Add(m)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c := compare(t)
		fresh, err := Respond(issued, seeded("x"), key(4), bob, ann)
		if err != nil {
			t.Fatal(err)
		}
		waits, _, err := Compare(issued, seeded("y"), key(2), ann, bob)
		if err != nil {
			t.Fatal(err)
		}
		for _, side := range []*Comparison{c.ann, c.bob, fresh, waits} {
			_, err := side.Receive(issued, b)
			if err != nil && chat.CodeOf(err) == chat.CodeInternal {
				t.Fatalf("error without code: %v", err)
			}
			if side.Verified() {
				t.Fatal("verified by a message alone")
			}
		}
	})
}
