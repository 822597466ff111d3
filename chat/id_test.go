package chat

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
)

func randomBytes(rng *rand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
}

func TestIDsAreReadAsTheyAreWritten(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		var p PersonID
		var d DeviceID
		var r RoomID
		var e EntryID
		var l LogID
		for _, b := range [][]byte{p[:], d[:], r[:], e[:], l[:]} {
			randomBytes(rng, b)
		}
		if got, err := ParsePersonID(p.String()); err != nil || got != p {
			t.Fatal(p, got, err)
		}
		if got, err := ParseDeviceID(d.String()); err != nil || got != d {
			t.Fatal(d, got, err)
		}
		if got, err := ParseRoomID(strings.ToUpper(r.String())); err != nil || got != r {
			t.Fatal(r, got, err)
		}
		if got, err := ParseEntryID(e.String()); err != nil || got != e {
			t.Fatal(e, got, err)
		}
		type all struct {
			P PersonID
			D DeviceID
			R RoomID
			E EntryID
			L LogID
		}
		b, err := json.Marshal(all{p, d, r, e, l})
		if err != nil {
			t.Fatal(err)
		}
		var got all
		if err := json.Unmarshal(b, &got); err != nil || got != (all{p, d, r, e, l}) {
			t.Fatal(string(b), err)
		}
	}
}

func TestIDsHaveTheirShape(t *testing.T) {
	var p PersonID
	var d DeviceID
	for name, c := range map[string]struct {
		id            string
		chunks, chunk int
	}{"person": {p.String(), 6, 6}, "device": {d.String(), 8, 7}} {
		parts := strings.Split(c.id, "-")
		if len(parts) != c.chunks {
			t.Errorf("%s %s has %d chunks", name, c.id, len(parts))
		}
		for _, part := range parts {
			if len(part) != c.chunk {
				t.Errorf("%s %s has a chunk of %d", name, c.id, len(part))
			}
		}
	}
	if got := len(RoomID{}.String()); got != 52 {
		t.Error("room", got)
	}
	if got := len(LogID{}.String()); got != 26 {
		t.Error("log", got)
	}
	for _, s := range []string{p.Short(), d.Short(), RoomID{}.Short(), EntryID{}.Short(), LogID{}.Short()} {
		if len(s) < 6 || len(s) > 8 || strings.Contains(s, "-") {
			t.Errorf("short form %q", s)
		}
	}
	if !p.IsZero() || !d.IsZero() || !(EntryID{}).IsZero() || (PersonID{1}).IsZero() || (DeviceID{1}).IsZero() || (EntryID{1}).IsZero() {
		t.Error("IsZero")
	}
}

// alphabet is base32's; 0, 1, 8 fold into it.
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

func TestEverySingleWrongCharacterIsCaught(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for range 20 {
		var p PersonID
		var d DeviceID
		randomBytes(rng, p[:])
		randomBytes(rng, d[:])
		for _, c := range []struct {
			id    string
			parse func(string) error
		}{
			{p.String(), func(s string) error { _, err := ParsePersonID(s); return err }},
			{d.String(), func(s string) error { _, err := ParseDeviceID(s); return err }},
		} {
			for i := range c.id {
				if c.id[i] == '-' {
					continue
				}
				for _, wrong := range alphabet {
					s := c.id[:i] + string(wrong) + c.id[i+1:]
					if err := c.parse(s); (err == nil) != (s == c.id) {
						t.Fatalf("%s for %s: %v", s, c.id, err)
					}
				}
			}
		}
	}
}

func TestSwapsOfNeighboursAreCaught(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	swaps, missed := 0, 0
	for range 200 {
		var d DeviceID
		randomBytes(rng, d[:])
		s := []byte(strings.ReplaceAll(d.String(), "-", ""))
		for i := range len(s) - 1 {
			if s[i] == s[i+1] {
				continue
			}
			swapped := bytes.Clone(s)
			swapped[i], swapped[i+1] = s[i+1], s[i]
			swaps++
			if _, err := ParseDeviceID(string(swapped)); err == nil {
				missed++
				if pair := string(s[i : i+2]); pair != "A7" && pair != "7A" {
					t.Fatalf("a swap of %q is not caught", pair)
				}
			}
		}
	}
	if missed*100 > swaps {
		t.Errorf("%d of %d swaps are not caught", missed, swaps)
	}
}

func TestWhatAPersonMakesOfAnIDIsRead(t *testing.T) {
	p := PersonID{0x70, 0x10, 0x83, 0x73, 0xae, 14: 0x81, 19: 1}
	s := p.String()
	folded := strings.NewReplacer("O", "0", "I", "1", "B", "8").Replace(s)
	if folded == s {
		t.Fatal("the example folds nothing")
	}
	for _, form := range []string{s, strings.ToLower(s), strings.ReplaceAll(s, "-", ""), strings.ReplaceAll(s, "-", " "), " " + s + " ", folded} {
		if got, err := ParsePersonID(form); err != nil || got != p {
			t.Errorf("%q: %v", form, err)
		}
	}
}

func TestABadIDSaysWhereToLook(t *testing.T) {
	d := DeviceID{1, 2, 3}
	good := d.String()
	wrong := []byte(good)
	wrong[16]++ // in the second block
	for _, c := range []struct{ id, says string }{
		{"", "has 56 letters and digits, this one has 0"},
		{good[1:], "this one has 55"},
		{good + "A", "this one has 57"},
		{string(wrong), "between its letters 15 and 28"},
		{"Ä" + good[1:], `has no 'Ä' in it`},
		{"9" + good[1:], `has no '9' in it`},
		{strings.Repeat("A", 10_000), "too long"},
	} {
		_, err := ParseDeviceID(c.id)
		if CodeOf(err) != CodeBadID || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.40q: %v, which does not say %q", c.id, err, c.says)
		}
	}
	room := RoomID{9}.String()
	for _, s := range []string{"", room[1:], room + "a", room[:51] + "b", room[:51] + "1", "\n" + room[1:], "ſ" + room[1:], strings.Repeat("x", 1e5)} {
		if _, err := ParseRoomID(s); CodeOf(err) != CodeBadID || len(err.Error()) > 400 {
			t.Errorf("%.60q: %v", s, err)
		}
	}
}

func TestALogBelongsToTheDeviceThatSaltedIt(t *testing.T) {
	salt := make([]byte, 16)
	a := NewLogID(DeviceID{1}, salt)
	if a == NewLogID(DeviceID{2}, salt) || a == NewLogID(DeviceID{1}, []byte("another salt....")) || a != NewLogID(DeviceID{1}, salt) {
		t.Error("log ids")
	}
}

func FuzzParsePersonID(f *testing.F) {
	f.Add(PersonID{1, 2, 3}.String())
	f.Add("not an id")
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := ParsePersonID(s); err == nil {
			if again, err := ParsePersonID(p.String()); err != nil || again != p {
				t.Fatalf("%q is read as %s, which is not read as itself", s, p)
			}
		} else if CodeOf(err) != CodeBadID {
			t.Fatal(err)
		}
	})
}

func FuzzParseEntryID(f *testing.F) {
	f.Add(EntryID{1, 2, 3}.String())
	f.Fuzz(func(t *testing.T, s string) {
		if e, err := ParseEntryID(s); err == nil && e.String() != strings.ToLower(s) {
			t.Fatalf("%q is read as %s", s, e)
		}
	})
}
