package contacts

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"earshot/chat"
)

func personID(seed string) chat.PersonID {
	sum := sha256.Sum256([]byte(seed))
	return chat.PersonID(sum[:20])
}

func TestLookalikeNamesHaveOneSkeleton(t *testing.T) {
	for _, pair := range [][2]string{
		{"Alice", "alice"},
		{"Alice", "Аlісе"},      // Cyrillic А, і, с, е
		{"paypal", "раураӏ"},    // Cyrillic throughout
		{"Bob", "Воb"},          // Cyrillic В, о
		{"HELENA", "ΗΕLΕΝΑ"},    // Greek capitals
		{"nico", "ηιcο"},        // Greek small letters
		{"Bill", "BiIl"},        // a capital I
		{"Bill", "Bi11"},        // digits
		{"Bob", "B0b"},          //
		{"Carmen", "Carrnen"},   // r and n
		{"wendy", "vvendy"},     //
		{"Ann", "Ann\u200b"},    // a zero-width space
		{"Ann", "A\u00adnn"},    // a soft hyphen
		{"Ann", "A\u034fnn"},    // a grapheme joiner
		{"Ann", "\u2800Ann"},    // a blank braille pattern
		{"Ann", "Ann\ufe0f"},    // a variation selector
		{"Ann", "Ａｎｎ"},          // full width
		{"Ann", "𝐀𝐧𝐧"},          // mathematical
		{"Ann Lee", "Ann  Lee"}, //
		{"Ann Lee", "Ann\u00a0Lee"},
		{"José", "Jose\u0301"},
		{"Jose", "Jọsé"},
		{"Anna-Lena", "Anna–Lena"},
		{"O'Hara", "O’Hara"},
		{"Straße", "STRASSE"},
		{"Տեւ", "Sեւ"},   // Armenian
		{"DAVE", "ᎠᎪᏙᎬ"}, // Cherokee
		{"Anna", "ꓮꓠꓠꓮ"}, // Lisu
	} {
		if !Alike(pair[0], pair[1]) || !Alike(pair[1], pair[0]) {
			t.Errorf("%q and %q: %+v, %+v", pair[0], pair[1], looksOf(pair[0]), looksOf(pair[1]))
		}
	}
	for _, pair := range [][2]string{
		{"Alice", "Alicia"}, {"Bob", "Rob"}, {"Ann", "Hanna"}, {"Мария", "Марья"}, {"李娜", "李那"}, {"さくら", "さくろ"}, {"Ann", ""},
	} {
		if Alike(pair[0], pair[1]) {
			t.Errorf("%q and %q are one: %q", pair[0], pair[1], Skeleton(pair[0]))
		}
	}
}

// Every line of the table must lead to something that stays as it is, or two ways
// of writing one look would differ.
func TestTheTableOfLookalikesIsClosed(t *testing.T) {
	for r, to := range lookalikes {
		if got, want := Skeleton(string(r)), Skeleton(to); got != want {
			t.Errorf("%q becomes %q, and %q becomes %q", r, got, to, want)
		}
		if unicode.IsLetter(r) && r < 0x80 && !strings.ContainsRune("iIl", r) {
			t.Errorf("a plain letter is in the table: %q", r)
		}
	}
}

func TestWordsThatMixAlphabetsAreSeen(t *testing.T) {
	for name, want := range map[string]bool{
		"Alice": false, "Аlice": true, "Анна": false, "Анна Smith": false, "Ωmega": true, "李Ann": false, "Ann2": false, "Հayk": true, "": false,
	} {
		if Mixed(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

func TestTwoWhoLookAlikeAreToldApart(t *testing.T) {
	a, b := Named{personID("a"), "Bob"}, Named{personID("b"), "Воb"}
	c := Named{personID("c"), "Carol"}
	all := []Named{a, b, c}
	if got := Display(c, all); got != "Carol" {
		t.Error(got)
	}
	da, db := Display(a, all), Display(b, all)
	if da != "Bob ("+a.Person.Short()+")" || db != "Воb ("+b.Person.Short()+")" {
		t.Errorf("%q %q", da, db)
	}
	if got := Display(a, []Named{a, c}); got != "Bob" {
		t.Errorf("alone: %q", got)
	}
	// Who puts another's id into the name gets an own one behind it.
	fake := Named{personID("m"), da}
	if got := Display(fake, []Named{a, c}); got != da+" ("+fake.Person.Short()+")" {
		t.Errorf("%q", got)
	}
	// Who mixes alphabets can be told without a rival beside.
	if got := Display(b, nil); !strings.Contains(got, b.Person.Short()) {
		t.Error(got)
	}
	// An id that begins as another's is shown further.
	near := a.Person
	near[19] ^= 1
	n := Named{near, "bob"}
	if da, dn := Display(a, []Named{a, n}), Display(n, []Named{a, n}); da == dn || !strings.Contains(da, a.Person.String()) {
		t.Errorf("%q %q", da, dn)
	}
}

func TestANameFindsOneContactOrNone(t *testing.T) {
	people := []Named{
		{personID("1"), "Ann"},
		{personID("2"), "Anna"},
		{personID("3"), "Bob"},
		{personID("4"), "Воb"},
		{personID("5"), "Carol Jones"},
		{personID("6"), "Straße"},
		{personID("7"), "Dora"},
		{personID("8"), "Doris"},
	}
	id := func(i int) string { return people[i].Person.String() }
	for query, want := range map[string]int{
		"Ann": 0, "ann": 0, " ANN ": 0, "Anna": 1, "carol": 4, "Carol J": 4, "strasse": 5, "dora": 6,
		id(0): 0, strings.ToLower(id(3)): 3, id(2)[:6]: 2, strings.ReplaceAll(id(2)[:9], "-", ""): 2,
		"Bob (" + id(2)[:6] + ")": 2, "bob (" + id(3)[:6] + ")": 3,
	} {
		got, err := Resolve(query, people)
		if err != nil || got != people[want] {
			t.Errorf("%q: %v, %v", query, got, err)
		}
	}
	for query, code := range map[string]chat.Code{
		"": chat.CodeUsage, "  ": chat.CodeUsage, "Eve": chat.CodeNotFound, "Bob": chat.CodeUsage, "Dor": chat.CodeUsage,
		personID("stranger").String(): chat.CodeNotFound, personID("stranger").Short(): chat.CodeNotFound,
		strings.Repeat("x", 1000): chat.CodeNotFound, id(0)[:5]: chat.CodeNotFound,
	} {
		if got, err := Resolve(query, people); chat.CodeOf(err) != code {
			t.Errorf("%q: %v, %v", query, got, err)
		}
	}
	_, err := Resolve("bob", people)
	var a *Ambiguous
	if !errors.As(err, &a) || len(a.Candidates) != 2 {
		t.Fatal(err)
	}
	for _, i := range []int{2, 3} {
		if !strings.Contains(err.Error(), people[i].Name+" ("+people[i].Person.Short()+")") {
			t.Errorf("%v does not name %s", err, people[i].Person.Short())
		}
	}
}

// Whoever calls themselves by another's id makes it ambiguous, and takes nothing.
func TestANameThatIsAnotherIDDoesNotTakeItsPlace(t *testing.T) {
	bob := Named{personID("bob"), "Bob"}
	short := Named{personID("m1"), bob.Person.Short()}
	whole := Named{personID("m2"), bob.Person.String()}
	people := []Named{short, whole, bob}
	if got, err := Resolve(bob.Person.String(), people); err != nil || got != bob {
		t.Errorf("%v %v", got, err)
	}
	var a *Ambiguous
	if got, err := Resolve(bob.Person.Short(), people); !errors.As(err, &a) {
		t.Errorf("%v %v", got, err)
	}
}

func TestAnErrorListsOnlySomeOfMany(t *testing.T) {
	var people []Named
	for i := range 50 {
		people = append(people, Named{personID(fmt.Sprint(i)), "Bob"})
	}
	_, err := Resolve("bob", people)
	if err == nil || len(err.Error()) > 400 || !strings.Contains(err.Error(), "and 42 more") {
		t.Error(err)
	}
}

func FuzzSkeleton(f *testing.F) {
	for _, s := range []string{"Alice", "Аlісе", "rnn", "vvv", "ᎪꭰΗη", "ŉ", "ͅι", "ﷺ", "İ", "ẞ", "1|l", "ʹ", "⑴"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = chat.CleanName(s)
		k := Skeleton(s)
		if again := Skeleton(k); again != k {
			t.Fatalf("%q becomes %q, then %q", s, k, again)
		}
		if !Alike(s, s) || !Alike(s, k) {
			t.Fatalf("%q is not like itself", s)
		}
		n := Named{personID("x"), s}
		if got := Display(n, []Named{{personID("y"), s}}); got != s+" ("+n.Person.Short()+")" {
			t.Fatalf("%q", got)
		}
	})
}

func FuzzResolve(f *testing.F) {
	a, b := Named{personID("a"), "Ann"}, Named{personID("b"), "Bob (X)"}
	for _, s := range []string{"Ann", "a", "Bob (X)", "(", ")", a.Person.String(), b.Person.Short()} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, query, name string) {
		c := Named{personID("c"), chat.CleanName(name)}
		got, err := Resolve(query, []Named{a, b, c})
		if err != nil && chat.CodeOf(err) == chat.CodeInternal || err == nil && got.Person.IsZero() {
			t.Fatalf("%v, %v", got, err)
		}
		shown := DisplayAll([]Named{a, b, c})
		if shown[0] == shown[2] || shown[1] == shown[2] {
			t.Fatalf("two are shown as one: %q", shown)
		}
	})
}

func BenchmarkDisplayAll(b *testing.B) {
	var people []Named
	for i := range 300 {
		people = append(people, Named{personID(fmt.Sprint(i)), fmt.Sprintf("Person Number %d", i)})
	}
	for b.Loop() {
		DisplayAll(people)
	}
}
