package contacts

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"earshot/chat"
)

func TestAudiencesAreReadAsTheyAreWritten(t *testing.T) {
	for in, want := range map[string]string{
		"everyone": "everyone", "contacts": "contacts", "nobody": "nobody",
		"groups:sales":                "groups:sales",
		"groups:sales,board":          "groups:board,sales",
		"groups: Sales , board,SALES": "groups:board,SALES",
		"groups:Ärzte,a\u0308rzte":    "groups:Ärzte",
	} {
		a, err := ParseAudience("Who may see it", in)
		if err != nil || a.String() != want {
			t.Errorf("%q became %q (%v), not %q", in, a, err, want)
		}
		if again, err := ParseAudience("Who may see it", a.String()); err != nil || again.String() != want {
			t.Errorf("%q became %q (%v)", want, again, err)
		}
	}
	for in, code := range map[string]chat.Code{
		"": chat.CodeUsage, "all": chat.CodeUsage, "Everyone": chat.CodeUsage, "groups": chat.CodeUsage, "groups:": chat.CodeUsage,
		"groups:a,": chat.CodeUsage, "groups:\u202e": chat.CodeUsage,
		"groups:" + strings.Repeat("x", chat.MaxGroupName+1): chat.CodeTooLong,
		"groups:" + strings.Repeat("x,", 1<<20):              chat.CodeUsage,
	} {
		if a, err := ParseAudience("Who may see it", in); chat.CodeOf(err) != code {
			t.Errorf("%.40q became %q (%v)", in, a, err)
		}
	}
	if got := (Audience{Kind: 99}).String(); got != chat.Nobody {
		t.Errorf("an audience of the future is %q", got)
	}
}

func TestGroupsAreBoundedAndNoneIsThereTwice(t *testing.T) {
	name := func(i int) string { return fmt.Sprintf("group %02d", i) }
	var full []string
	for i := range chat.MaxGroups {
		full = append(full, name(chat.MaxGroups-i))
	}
	out, err := CleanGroups(full)
	if err != nil || len(out) != chat.MaxGroups || !slices.IsSorted(out) {
		t.Fatalf("%q, %v", out, err)
	}
	if out, err = CleanGroups(append(full, "GROUP 01")); err != nil || len(out) != chat.MaxGroups {
		t.Errorf("another way to write one is one more: %q, %v", out, err)
	}
	longest := strings.Repeat("ä", chat.MaxGroupName/2)
	if out, err = CleanGroups([]string{longest}); err != nil || out[0] != longest {
		t.Errorf("%q, %v", out, err)
	}
	for what, in := range map[string][]string{
		"one more": append(full, "one more"), "many": make([]string, 2*chat.MaxGroups+1), "none": {""}, "nothing to show": {" \u200e"}, "a comma": {"a,b"},
	} {
		if out, err := CleanGroups(in); chat.CodeOf(err) != chat.CodeUsage {
			t.Errorf("%s: %q, %v", what, out, err)
		}
	}
	for _, in := range []string{strings.Repeat("x", chat.MaxGroupName+1), strings.Repeat("\u202e", 1<<16) + "x"} {
		if out, err := CleanGroups([]string{in}); chat.CodeOf(err) != chat.CodeTooLong {
			t.Errorf("%.20q, %v", out, err)
		}
	}
	// What is clean stays as it is.
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(rapid.String(), 0, 6).Draw(t, "names")
		out, err := CleanGroups(in)
		if err != nil {
			return
		}
		again, err := CleanGroups(out)
		if err != nil || !slices.Equal(again, out) {
			t.Fatalf("%q became %q, and then %q (%v)", in, out, again, err)
		}
	})
}

func TestExceptionsAreBoundedAndOneForEachPerson(t *testing.T) {
	no := false
	p := DefaultPrivacy().Face()
	for i := range chat.MaxExceptions {
		p.Exceptions = append(p.Exceptions, chat.PrivacyException{Person: personID(fmt.Sprint(i)), Presence: &no})
	}
	p.Exceptions = append(p.Exceptions, chat.PrivacyException{Person: personID("of nothing")})
	parsed, err := ParsePrivacy(p)
	if err != nil || len(parsed.Exceptions) != chat.MaxExceptions {
		t.Fatalf("%d exceptions, %v", len(parsed.Exceptions), err)
	}
	for i := range chat.MaxExceptions {
		if May(Record{Person: personID(fmt.Sprint(i)), Relation: Contact}, ReachPresence, parsed) {
			t.Fatalf("the exception %d is not found", i)
		}
	}
	less, was := parsed.Without(personID("7"))
	if !was || len(less.Exceptions) != chat.MaxExceptions-1 || len(parsed.Exceptions) != chat.MaxExceptions {
		t.Errorf("%d exceptions are left, of %d", len(less.Exceptions), len(parsed.Exceptions))
	}
	if !May(Record{Person: personID("7"), Relation: Contact}, ReachPresence, less) {
		t.Error("an exception that has ended counts")
	}
	for what, more := range map[string]chat.PrivacyException{
		"one more": {Person: personID("one more"), Read: &no}, "a second": {Person: personID("1"), Read: &no},
	} {
		q := p
		if q.Exceptions = append(slices.Clone(p.Exceptions), more); what == "a second" {
			q.Exceptions = q.Exceptions[1:]
		}
		if _, err := ParsePrivacy(q); chat.CodeOf(err) != chat.CodeUsage {
			t.Errorf("%s: %v", what, err)
		}
	}
	p.Exceptions = []chat.PrivacyException{{Read: &no}}
	if _, err := ParsePrivacy(p); chat.CodeOf(err) != chat.CodeUsage {
		t.Errorf("nobody: %v", err)
	}
}
