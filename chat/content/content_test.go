package content

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"earshot/chat"
	"earshot/chat/wire"
)

func person(b byte) chat.PersonID { return chat.PersonID{b} }

func at(h chat.HLC) Place { return Place{HLC: h, Log: chat.LogID{1}, Seq: uint64(h)} }

func entry(b byte) chat.EntryID { return chat.EntryID{b} }

func read(t testing.TB, kind wire.Kind, payload []byte, err error) Said {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	s, err := Read(kind, payload)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhatIsComposedIsRead(t *testing.T) {
	target, reply := entry(7), entry(8)
	many := []chat.PersonID{person(1), person(2)}
	payload, err := Compose(chat.Draft{Text: "hello \x1b[31mred", ReplyTo: &reply, Mentions: many}, time.Hour)
	want := Said{Text: "hello [31mred", ReplyTo: &reply, Mentions: many, Expires: time.Hour}
	if got := read(t, wire.KindMessage, payload, err); !reflect.DeepEqual(got, want) || !got.IsMessage() {
		t.Errorf("a message is read as %+v", got)
	}
	payload, err = Compose(chat.Draft{Text: "plain"}, 0)
	if got := read(t, wire.KindMessage, payload, err); !reflect.DeepEqual(got, Said{Text: "plain"}) {
		t.Errorf("a plain one is read as %+v", got)
	}
	if !bytes.Equal(payload, wire.Marshal(wire.Message{Text: "plain"})) {
		t.Error("a plain message has other bytes than before")
	}
	payload, err = ComposeEdit(target, "better", many)
	if got := read(t, wire.KindEdit, payload, err); !reflect.DeepEqual(got, Said{Text: "better", Mentions: many, Edit: &target}) || got.IsMessage() {
		t.Errorf("an edit is read as %+v", got)
	}
	if got := read(t, wire.KindDelete, ComposeDelete([]chat.EntryID{target, reply, target}), nil); !slices.Equal(got.Remove, []chat.EntryID{target, reply}) || got.IsMessage() {
		t.Errorf("a removal is read as %+v", got)
	}
	r := React{Target: target, Sign: "👍", Off: true}
	payload, err = ComposeReaction(r)
	if got := read(t, wire.KindReaction, payload, err); !reflect.DeepEqual(got, Said{React: &r}) {
		t.Errorf("a reaction is read as %+v", got)
	}
	s := Setting{Disappear: time.Hour, Keep: 24 * time.Hour}
	if got := read(t, wire.KindSetting, ComposeSetting(s), nil); !reflect.DeepEqual(got, Said{Setting: &s}) {
		t.Errorf("a setting is read as %+v", got)
	}
	for _, kind := range []wire.Kind{wire.KindProfile, wire.KindKeyShare, 200} {
		if got, err := Read(kind, []byte("anything")); err != nil || !reflect.DeepEqual(got, Said{}) {
			t.Errorf("kind %d is read as %+v, %v", kind, got, err)
		}
	}
}

func TestWhatCannotBeSentIsSaidInWords(t *testing.T) {
	long := strings.Repeat("x", chat.MaxText)
	var crowd []chat.PersonID
	for i := range chat.MaxMentions {
		crowd = append(crowd, person(byte(i)))
	}
	for code, err := range map[chat.Code]func() error{
		chat.CodeEmpty: func() error { _, err := Compose(chat.Draft{Text: " \n\x00"}, 0); return err },
		chat.CodeTooLong: func() error {
			if _, err := Compose(chat.Draft{Text: long}, chat.MaxKeep); err != nil {
				return err
			}
			if _, err := Compose(chat.Draft{Text: long + "x"}, 0); chat.CodeOf(err) != chat.CodeTooLong {
				return err
			}
			_, err := Compose(chat.Draft{Text: long, Mentions: crowd}, 0)
			return err
		},
		chat.CodeUsage: func() error { _, err := ComposeReaction(React{Sign: "no"}); return err },
	} {
		if got := chat.CodeOf(err()); got != code {
			t.Errorf("got %s, want %s", got, code)
		}
	}
}

func TestTheLastEditByTheAuthorCounts(t *testing.T) {
	a := About{Author: person(1), Edits: []Edit{
		{By: person(1), At: at(30), Text: "third"},
		{By: person(2), At: at(40), Text: "another's"},
		{By: person(1), At: at(10), Text: "first"},
		{By: person(1), At: at(20), Text: "second"},
		{By: person(1), At: at(50)}, // overwritten
	}}
	if got := Fold(a); got.Edit != 0 || !slices.Equal(got.Before, []int{2, 3}) {
		t.Errorf("shown is %+v", got)
	}
	a.Edits = a.Edits[1:2]
	if got := Fold(a); got.Edit != -1 || got.Before != nil {
		t.Errorf("shown is %+v", got)
	}
}

func TestWhoMayRemoveWhat(t *testing.T) {
	tenures := []Tenure{{person(3), 10, 20}, {person(3), 30, chat.MaxHLC}}
	for _, c := range []struct {
		by     byte
		at     chat.HLC
		counts bool
	}{{1, 5, true}, {2, 15, false}, {3, 9, false}, {3, 10, true}, {3, 19, true}, {3, 20, false}, {3, 30, true}} {
		a := About{Author: person(1), Removals: []Removal{{By: person(c.by), At: at(c.at)}}, Tenures: tenures, Edits: []Edit{{By: person(1), At: at(99), Text: "later"}}}
		got := Fold(a)
		if (got.Removed != nil) != c.counts || (got.Edit >= 0) == c.counts {
			t.Errorf("by %d at %d: %+v", c.by, c.at, got)
		}
	}
}

func TestReactionsAreOnePerPersonAndSign(t *testing.T) {
	got := Fold(About{Reactions: []Reaction{
		{person(1), "👍", false, at(5)},
		{person(2), "❤️", false, at(2)},
		{person(3), "👍", false, at(1)},
		{person(3), "👍", true, at(6)},
		{person(2), "👍", false, at(4)},
		{person(1), "👍", false, at(7)},
		{person(4), "🎉", true, at(9)},
	}}).Signs
	want := []Sign{{"❤️", []chat.PersonID{person(2)}}, {"👍", []chat.PersonID{person(2), person(1)}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("signs are %+v", got)
	}
	var flood []Reaction
	for i := range 3 * chat.MaxSigns {
		flood = append(flood, Reaction{person(byte(i)), string(rune('😀' + i%(2*chat.MaxSigns))), false, at(chat.HLC(i))})
	}
	if got := Fold(About{Reactions: flood}).Signs; len(got) != chat.MaxSigns || len(got[0].People) != 2 || len(got[chat.MaxSigns-1].People) != 2 {
		t.Errorf("of a flood %d signs are shown", len(got))
	}
}

// The order in which things are known changes nothing.
func TestFoldingDoesNotDependOnTheOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		who := rapid.Custom(func(rt *rapid.T) chat.PersonID { return person(byte(rapid.IntRange(1, 3).Draw(rt, "who"))) })
		seq := uint64(0)
		where := rapid.Custom(func(rt *rapid.T) Place {
			seq++ // no two entries have one place
			return Place{HLC: chat.HLC(rapid.IntRange(1, 5).Draw(rt, "clock")), Log: chat.LogID{byte(rapid.IntRange(1, 2).Draw(rt, "log"))}, Seq: seq}
		})
		a := About{
			Author: person(1),
			Edits: rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) Edit {
				return Edit{By: who.Draw(rt, "by"), At: where.Draw(rt, "at"), Text: rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "text")}
			}), 0, 6).Draw(rt, "edits"),
			Removals: rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) Removal {
				return Removal{By: who.Draw(rt, "by"), At: where.Draw(rt, "at")}
			}), 0, 2).Draw(rt, "removals"),
			Reactions: rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) Reaction {
				return Reaction{who.Draw(rt, "by"), rapid.SampledFrom([]string{"👍", "❤️"}).Draw(rt, "sign"), rapid.Bool().Draw(rt, "off"), where.Draw(rt, "at")}
			}), 0, 8).Draw(rt, "reactions"),
			Tenures: []Tenure{{person(2), 3, 5}},
		}
		b := a
		b.Edits = rapid.Permutation(a.Edits).Draw(rt, "edits again")
		b.Removals = rapid.Permutation(a.Removals).Draw(rt, "removals again")
		b.Reactions = rapid.Permutation(a.Reactions).Draw(rt, "reactions again")
		one, other := Fold(a), Fold(b)
		texts := func(a About, s Shown) (out []Edit) {
			for _, i := range s.Before {
				out = append(out, a.Edits[i])
			}
			if s.Edit >= 0 {
				out = append(out, a.Edits[s.Edit])
			}
			return out
		}
		if !reflect.DeepEqual(one.Removed, other.Removed) || !reflect.DeepEqual(one.Signs, other.Signs) || !reflect.DeepEqual(texts(a, one), texts(b, other)) {
			rt.Fatalf("%+v\nand\n%+v", one, other)
		}
	})
}

func TestTheLastSettingCounts(t *testing.T) {
	list := []Setting{{At: at(3), Keep: time.Hour}, {At: at(9), Disappear: time.Minute}, {At: at(5)}}
	if got := Current(list); got != list[1] {
		t.Errorf("got %+v", got)
	}
	if got := Current(nil); got != (Setting{}) {
		t.Errorf("of none: %+v", got)
	}
}

// What comes without its payload is excused only where the room's settings say that it
// may be gone.
func TestWhatMayBeGone(t *testing.T) {
	day := 24 * time.Hour
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	h := func(d time.Duration) chat.HLC { return chat.HLCOf(start.Add(d)) }
	settings := []Setting{{At: at(h(30 * day))}, {At: at(h(10 * day)), Disappear: 2 * day}} // from day 10 to 30
	for name, c := range map[string]struct {
		said, now time.Duration
		keep      time.Duration
		gone      bool
	}{
		"before it was set":            {9 * day, 100 * day, 0, false},
		"while it was, and too early":  {11 * day, 12 * day, 0, false},
		"while it was, and over":       {11 * day, 13 * day, 0, true},
		"who had not heard of its end": {30*day + time.Hour, 100 * day, 0, true},
		"long after its end":           {32 * day, 100 * day, 0, false},
		"kept for less":                {9 * day, 20 * day, 10 * day, true},
		"kept for longer":              {9 * day, 18 * day, 10 * day, false},
	} {
		if got := Over(h(c.said), start.Add(c.now), c.keep, settings); got != c.gone {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestASignIsOneEmoji(t *testing.T) {
	for _, s := range []string{"👍", "❤️", "❤", "👍🏽", "👨‍👩‍👧‍👦", "👨🏽‍👩🏽‍👧🏽‍👦🏽", "🇩🇪", "1️⃣", "#️⃣", "🏳️‍🌈", "✓", "‼️", "😀"} {
		if !ValidSign(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range []string{"", " ", "a", "ok", "👍👍", "👍 ", "1", "12️⃣", "🇩", "🇩🇪🇫🇷", "\u200d", "👍\u200d", "\ufe0f", "<", "\x1b[31m", "👍a", "1️⃣1", "\u202e👍", strings.Repeat("👍\u200d", 20) + "👍", "\xff"} {
		if ValidSign(s) {
			t.Errorf("%q is taken", s)
		}
	}
}

func TestWhomATextCalls(t *testing.T) {
	present := []Named{{person(1), "Ann"}, {person(2), "Ann Lee"}, {person(3), "Ben"}, {person(4), "Ben"}, {person(5), "Zoë"}, {person(6), "李明"}}
	for text, want := range map[string][]byte{
		"hello":                   nil,
		"@Ann: hello":             {1},
		"hello @ann!":             {1},
		"@Ann Lee, hello":         {2},
		"@Ann Leeds":              {1},
		"@Anna":                   nil,
		"@Ben":                    nil, // which of them?
		"mail ann@ann.example":    nil,
		"@ZOË and @Ann and @ann.": {5, 1},
		"你好@李明！":                  nil, // letters stand before it
		"你好 @李明！":                 {6},
		"@":                       nil,
		"@@Ann":                   {1},
	} {
		var who []chat.PersonID
		for _, b := range want {
			who = append(who, person(b))
		}
		if got := Called(text, present); !slices.Equal(got, who) {
			t.Errorf("%q calls %v, want %v", text, got, want)
		}
	}
}

func TestALongTextCallsQuickly(t *testing.T) {
	present := []Named{{person(1), strings.Repeat("n", chat.MaxName)}}
	start := time.Now()
	Called(strings.Repeat("@", chat.MaxText), present)
	if took := time.Since(start); took > 30*time.Second { // a slow machine under load takes one
		t.Errorf("it took %v", took)
	}
}

func FuzzRead(f *testing.F) {
	target := entry(7)
	for kind, payload := range map[wire.Kind][]byte{
		wire.KindMessage: wire.Marshal(wire.Message{Text: "hello", Reply: target[:]}), wire.KindDelete: ComposeDelete([]chat.EntryID{target}),
		wire.KindEdit: wire.Marshal(wire.Edit{Target: target[:], Text: "x"}), wire.KindReaction: wire.Marshal(wire.Reaction{Target: target[:], Sign: "👍"}),
		wire.KindSetting: ComposeSetting(Setting{Keep: time.Hour}),
	} {
		f.Add(uint8(kind), payload)
	}
	f.Fuzz(func(t *testing.T, kind uint8, payload []byte) {
		s, err := Read(wire.Kind(kind), payload)
		if err != nil {
			if chat.CodeOf(err) != chat.CodeInvalid {
				t.Fatalf("an error that is not %q: %v", chat.CodeInvalid, err)
			}
			return
		}
		if s.Text != chat.CleanText(s.Text) || len(s.Mentions) > chat.MaxMentions || len(s.Remove) > chat.MaxRemoved || s.Expires < 0 || s.Expires > chat.MaxKeep {
			t.Fatalf("%+v", s)
		}
		if s.React != nil && !ValidSign(s.React.Sign) {
			t.Fatalf("sign %q", s.React.Sign)
		}
	})
}

func FuzzSign(f *testing.F) {
	for _, s := range []string{"👍", "👨‍👩‍👧‍👦", "🇩🇪", "1️⃣"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if ValidSign(s) && (len(s) > chat.MaxSign || chat.CleanText(s) != s || strings.ContainsAny(s, " \n\t")) {
			t.Fatalf("%q", s)
		}
	})
}
