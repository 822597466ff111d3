package profile

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"earshot/chat"
	"earshot/chat/contacts"
	"earshot/chat/wire"
)

var alice = chat.OwnProfile{
	Profile: chat.Profile{Title: "Engineer", Department: "Sales", Email: "Alice@Example.org", Location: "Room 4.07", Phone: "+49 30 1234567"},
	For:     map[string]chat.Audience{"title": chat.Everyone, "phone": "groups:board,sales", "location": chat.Nobody},
}

func TestAProfileIsReadAsItIsWritten(t *testing.T) {
	o, err := Parse(alice)
	if err != nil {
		t.Fatal(err)
	}
	if got := o.Face(); !reflect.DeepEqual(got, alice) {
		t.Errorf("%+v became %+v", alice, got)
	}
	o.Version = 7
	again, err := FromFrame(o.Frame())
	if err != nil || !reflect.DeepEqual(again, o) {
		t.Errorf("%+v became %+v (%v)", o, again, err)
	}
	if got := (Own{}).Face(); !reflect.DeepEqual(got, chat.OwnProfile{}) || len((Own{}).Frame().Parts) != 0 {
		t.Errorf("nothing became %+v", got)
	}
	// Of a part that is empty it is kept for whom it would be.
	o, _ = Parse(chat.OwnProfile{For: map[string]chat.Audience{"phone": chat.Nobody, "title": chat.OnlyContacts}})
	if again, err := FromFrame(o.Frame()); err != nil || again.For(Phone).Kind != contacts.Nobody || len(again.Frame().Parts) != 1 {
		t.Errorf("%+v (%v)", again, err)
	}
	// What a newer version has more is left out, what breaks the rules is refused.
	f := o.Frame()
	f.Parts = append(f.Parts, wire.ProfilePart{Part: 99, Text: "?", For: "?"})
	if again, err := FromFrame(f); err != nil || len(again.Frame().Parts) != 1 {
		t.Errorf("%+v (%v)", again, err)
	}
	for _, p := range []wire.ProfilePart{{Part: uint8(Email), Text: "nowhere", For: chat.Nobody}, {Part: uint8(Title), Text: "x", For: "all"}} {
		if _, err := FromFrame(wire.OwnProfile{Version: 1, Parts: []wire.ProfilePart{p}}); chat.CodeOf(err) != chat.CodeInvalid {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

func TestAProfileIsBounded(t *testing.T) {
	longest := strings.Repeat("ä", chat.MaxProfilePart/2)
	for p := Title; p < end; p++ {
		var in chat.OwnProfile
		if *p.in(&in.Profile) = longest; p == Email {
			*p.in(&in.Profile) = strings.Repeat("x", maxLocal) + "@" + strings.Repeat("example.", 23) + "org"
		}
		if _, err := Parse(in); err != nil {
			t.Errorf("%s at its longest: %v", p, err)
		}
		for _, long := range []string{longest + "x", strings.Repeat("\u202e", 1<<16)} {
			*p.in(&in.Profile) = long
			if _, err := Parse(in); chat.CodeOf(err) != chat.CodeTooLong || !strings.Contains(err.Error(), p.String()) {
				t.Errorf("%s over its longest: %v", p, err)
			}
		}
	}
	for _, in := range []chat.OwnProfile{
		{For: map[string]chat.Audience{"shoe size": chat.Everyone}},
		{For: map[string]chat.Audience{"": chat.Everyone}},
		{For: map[string]chat.Audience{"title": "all"}},
		{Profile: chat.Profile{Email: "nowhere"}},
	} {
		if _, err := Parse(in); chat.CodeOf(err) != chat.CodeUsage {
			t.Errorf("%+v: %v", in, err)
		}
	}
	o, err := Parse(chat.OwnProfile{Profile: chat.Profile{Title: " Chief\n\x1b[31m of \u202eeverything "}})
	if got := o.Face().Title; err != nil || got != "Chief [31m of everything" {
		t.Errorf("%q, %v", got, err)
	}
}

// A view holds the parts that somebody may see, and of the others nothing.
func TestAPartMustNotBeShownToWhoMayNotSeeIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := chat.OwnProfile{For: map[string]chat.Audience{}}
		for p := Title; p < end; p++ {
			if *p.in(&in.Profile) = rapid.SampledFrom([]string{"", "secret " + p.String()}).Draw(t, p.String()); p == Email && in.Email != "" {
				in.Email = "secret-email@example.org"
			}
			in.For[p.String()] = rapid.SampledFrom([]string{chat.Everyone, chat.OnlyContacts, chat.Nobody, "groups:sales"}).Draw(t, "for")
		}
		o, err := Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		o.Version = 1
		may := rapid.MapOf(rapid.SampledFrom([]string{chat.Everyone, chat.OnlyContacts, chat.Nobody, "groups:sales"}), rapid.Bool()).Draw(t, "may")
		f, something := o.View(func(a contacts.Audience) bool { return may[a.String()] })
		b := string(wire.EncodeFrame(f))
		shown := false
		for p := Title; p < end; p++ {
			text := *p.in(&in.Profile)
			want := text != "" && may[in.For[p.String()]]
			if shown = shown || want; text != "" && strings.Contains(b, text) != want {
				t.Fatalf("%s for %s is in the frame: %v", p, in.For[p.String()], !want)
			}
		}
		if something != shown {
			t.Fatalf("something %v", something)
		}
	})
}

func TestWhatOthersTellIsSafeToShow(t *testing.T) {
	got := Clean(wire.ShownProfile{Version: 1, Title: "Boss\u202e\n of all", Department: "\x1b]0;x\x07", Email: "a b@example.org", Location: "\u200b", Phone: "+1\t2"})
	if want := (chat.Profile{Title: "Boss of all", Department: "]0;x", Phone: "+1 2"}); got != want {
		t.Errorf("%+v", got)
	}
	if got := Clean(wire.ShownProfile{Email: "Alice@Example.org"}); got.Email != "Alice@Example.org" {
		t.Errorf("%+v", got)
	}
}

func TestAnAddressIsComparedAsPeopleWriteIt(t *testing.T) {
	for in, want := range map[string]string{
		"alice@example.org":          "alice@example.org",
		"Alice.B@EXAMPLE.org":        "alice.b@example.org",
		"a+tag_1@mail":               "a+tag_1@mail",
		"jörg@bücher.example":        "jörg@xn--bcher-kva.example",
		"jo\u0308rg@BÜCHER.example":  "jörg@xn--bcher-kva.example",
		"JÖRG@xn--bcher-kva.example": "jörg@xn--bcher-kva.example",
		"用户@例子.example":              "用户@xn--fsqu00a.example",
	} {
		if got, err := Address(in); err != nil || got != want {
			t.Errorf("%q is %q (%v), not %q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "@", "alice", "alice@", "@example.org", "a@b@example.org", ".a@example.org", "a.@example.org", "a..b@example.org",
		"a b@example.org", "a@exa mple.org", "a@example.org.", "a@.org", "a@-x.org", "a@[127.0.0.1]", `"a"@example.org`, "a@example.org\n",
		"a\u202e@example.org", "a@exam\u200bple\u202e.org", "a\x00@example.org", "<a@example.org>", "a@b_c.org", "a\ufffd@example.org", "a\xff@example.org",
		strings.Repeat("x", maxLocal+1) + "@example.org", "a@" + strings.Repeat("x", 64) + ".org", "a@" + strings.Repeat("example.", 32) + "org",
	} {
		if got, err := Address(in); chat.CodeOf(err) != chat.CodeUsage {
			t.Errorf("%q is %q (%v)", in, got, err)
		}
	}
}

// FuzzAddress: what is an address is one of the same however often it is read, fits,
// and holds nothing that a terminal or a list of addresses would take for its own.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"alice@example.org", "JÖRG@xn--bcher-kva.example", "a@[127.0.0.1]", "a..b@example.org", "\u0130@example.org", "ǰ@ẞ.de"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := Address(s)
		if err != nil {
			if chat.CodeOf(err) != chat.CodeUsage {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		if strings.ContainsAny(a, " ,;<>()[]\"\\\r\n\t\x00") || strings.Count(a, "@") != 1 {
			t.Fatalf("%q is %q", s, a)
		}
		shown := Clean(wire.ShownProfile{Email: s}).Email
		if same, err := Address(shown); err != nil || same != a || chat.CleanLine(shown, chat.MaxProfilePart) != shown {
			t.Fatalf("%q is %q, and shown as %q, which is %q (%v)", s, a, shown, same, err)
		}
		if again, err := Address(a); err == nil && again != a {
			t.Fatalf("%q is %q, and that %q", s, a, again)
		}
	})
}
