package store

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"earshot/chat"
)

func TestSearchFindsWords(t *testing.T) {
	s := openStore(t, t.TempDir())
	lobby, _ := putRoom(t, s, "#lobby", true)
	side, _ := putRoom(t, s, "#side", true)
	ann, open := opened(lobby, "ann", noon)
	recs := []Record{open}
	for i, text := range []string{
		"the printer on the third floor is on fire",
		"Die Straße nach Zürich",
		"会議は東京で行われます",
		"我们明天在北京开会",
		"오늘 점심 먹었어요",
		`say "hello" AND NOT goodbye*`,
		"printers, all of them",
		"🎉 --- !!!",
		"room r1 r2 third",
	} {
		recs = append(recs, ann.say(noon+chat.HLC(i)+1, text))
	}
	mustStore(t, s, recs...)
	bob, bobOpen := opened(side, "bob", noon)
	mustStore(t, s, bobOpen, bob.say(noon+1, "the fire is out"))
	for _, c := range []struct {
		query string
		room  *chat.RoomID
		want  []int // places of texts above, newest first; 9 is Bob's
	}{
		{"fire", nil, []int{9, 0}},
		{"fire", &lobby, []int{0}},
		{"FIRE third", nil, []int{0}},
		{"fire out", &lobby, nil},
		{"print", nil, []int{6, 0}}, // the start of the last word
		{"print floor", nil, nil},   // but not of others
		{"zurich", nil, []int{1}},
		{"北京", nil, []int{3}},
		{"东京", nil, nil},
		{"東京", nil, []int{2}},
		{"京北", nil, nil},
		{"明天 开会", nil, []int{3}},
		{"점심", nil, []int{4}},
		{"行われ", nil, []int{2}},
		{`"hello"`, nil, []int{5}},
		{`hello" OR "fire`, nil, nil},
		{"NOT fire", nil, nil},
		{"room:r1", nil, []int{8}}, // these words in this order, not a filter
		{"text", nil, nil},
		{"r1", nil, []int{8}}, // the word, not the token of the room
		{"third*", nil, []int{8, 0}},
		{"-fire", nil, []int{9, 0}},
		{"🎉", nil, nil},
		{"", nil, nil},
		{"   ", nil, nil},
		{`"`, nil, nil},
		{"*", nil, nil},
		{"fire\x00x", nil, nil},
		{strings.Repeat("fire ", 1000), nil, []int{9, 0}},
		{strings.Repeat("京", 1000), nil, nil},
	} {
		hits, err := s.Search(t.Context(), c.query, c.room, 0)
		if err != nil {
			t.Errorf("%.30q: %v", c.query, err)
			continue
		}
		var got []int
		for _, m := range hits {
			i := slices.IndexFunc(recs, func(r Record) bool { return r.Entry.ID == m.ID }) - 1
			if i < 0 {
				i = 9
			}
			got = append(got, i)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%.30q: %v, want %v", c.query, got, c.want)
		}
	}
	nowhere := chat.OpenRoom("#nowhere")
	if hits, err := s.Search(t.Context(), "fire", &nowhere, 0); err != nil || len(hits) != 0 {
		t.Errorf("an unknown room: %v, %v", hits, err)
	}
	if hits, err := s.Search(t.Context(), "fire", nil, 1); err != nil || len(hits) != 1 {
		t.Errorf("limit 1: %d hits, %v", len(hits), err)
	}
}

// Nothing that a person types is a syntax error, or anything but a search.
func FuzzSearch(f *testing.F) {
	s := openStore(f, f.TempDir())
	lobby := chat.OpenRoom("#lobby")
	ann, open := opened(lobby, "ann", noon)
	mustStore(f, s, open, ann.say(noon+1, "hello world"), ann.say(noon+2, "東京 \"quoted\""))
	for _, q := range []string{"hello", `"`, `a" OR b`, "NEAR(a b)", "text:x", "^a", "a*", "(", "{text room}:a", "東", "\x00", "\xff", "a\u0301"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		hits, err := s.Search(t.Context(), query, &lobby, 10)
		if err != nil {
			t.Fatalf("%q: %v", query, err)
		}
		for _, m := range hits {
			if !utf8.ValidString(m.Text) {
				t.Fatalf("%q", m.Text)
			}
		}
	})
}
