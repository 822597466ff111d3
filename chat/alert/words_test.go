package alert

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"earshot/chat"
)

// shown returns all words that were for the desktop.
func (d *desk) shown() string {
	var sb strings.Builder
	for _, n := range d.notes {
		fmt.Fprintln(&sb, n.Key, n.Title, n.Body)
	}
	return sb.String()
}

func TestPreviewShowsNoMoreThanThePersonWants(t *testing.T) {
	for preview, secrets := range map[string][]string{
		chat.PreviewText: nil, chat.PreviewName: {"at nine"}, chat.PreviewNothing: {"at nine", "Ann", "#plan", "Eve", "Bob"},
		"something newer": {"at nine", "Ann", "#plan", "Eve", "Bob"},
	} {
		d := at(t, noon)
		d.set.Preview = preview
		d.do(d.set)
		for i := range 8 {
			m := d.inRoom(i+1, chat.RoomPrivate, "at nine")
			m.Mention = i == 0
			d.do(m)
		}
		d.do(Requests{From: []chat.Author{who("Eve")}})
		d.do(Invited{RoomID: roomID(20), Room: "#plan", By: who("Ann")})
		d.do(Free{Person: who("Bob")})
		d.pass(time.Minute)
		if len(d.notes) == 0 {
			t.Fatalf("%s: nothing is shown", preview)
		}
		for _, secret := range secrets {
			for _, n := range d.notes {
				if strings.Contains(n.Title+" "+n.Body, secret) {
					t.Errorf("%s: the desktop shows %+v", preview, n)
				}
			}
		}
		if preview != chat.PreviewText {
			for _, a := range d.told {
				if a.Text != "" {
					t.Errorf("%s: faces are told %q", preview, a.Text)
				}
			}
		}
	}
}

func TestWhatDisappearsIsNotLeftOnTheDesktop(t *testing.T) {
	d := at(t, noon)
	m := d.said("the code is 1234")
	m.Fleeting = true
	d.do(m)
	d.want(1, 1)
	if strings.Contains(d.shown(), "1234") {
		t.Errorf("the desktop keeps %q", d.shown())
	}
}

func TestShowingLessTakesBackWhatIsShown(t *testing.T) {
	d := at(t, noon)
	d.do(d.said("secret"))
	d.set.Preview = chat.PreviewNothing
	d.do(d.set)
	if len(d.taken) != 1 {
		t.Errorf("withdrawn: %v", d.taken)
	}
}

func TestNothingIsShownByADesktopThatIsNotWanted(t *testing.T) {
	d := at(t, noon)
	d.set.Desktop = false
	d.do(d.set)
	d.do(d.said("x"))
	d.do(Requests{From: []chat.Author{who("Eve")}})
	d.do(Free{Person: who("Bob")})
	d.pass(time.Hour)
	if len(d.notes) != 0 || len(d.rings()) != 1 {
		t.Errorf("shown %v, told %v", d.notes, d.told)
	}
}

func TestALineIsOneLineAndWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(0, 2000, 8000).Draw(t, "text")
		got := line(text)
		if len(got) > maxLine || strings.ContainsAny(got, "\n\t\r") || !utf8.ValidString(got) {
			t.Fatalf("%q becomes %q", text, got)
		}
	})
}

func TestRequestsRingOnceHoweverManyStrangersThereAre(t *testing.T) {
	d := at(t, noon)
	var asking []chat.Author
	for i := range 60 { // one a second: identities are free
		asking = append(asking, who(fmt.Sprintf("Eve %d", i)))
		d.do(Requests{From: asking})
		d.pass(time.Second)
	}
	d.pass(time.Minute)
	if len(d.notes) != 3 || d.notes[0].Body != "Eve 0 asks to be your contact." || d.notes[1].Body != "29 people ask to be your contacts." {
		t.Errorf("shown: %+v", d.notes)
	}
	d.forget()
	d.do(Requests{From: asking[:3]})
	d.do(Requests{From: asking[:3]})
	d.pass(time.Hour)
	if len(d.notes) != 0 {
		t.Errorf("who had been asking is told of again: %+v", d.notes)
	}
}

func TestAnInvitationIsToldOnce(t *testing.T) {
	d := at(t, noon)
	for range 3 {
		d.do(Invited{RoomID: roomID(1), Room: "#plan", By: who("Ann")})
		d.pass(time.Hour)
	}
	if len(d.notes) != 1 || d.notes[0].Body != "Ann invites you to #plan." {
		t.Errorf("shown: %+v", d.notes)
	}
	for i := range chat.MaxSealedRooms + 1 {
		d.do(Invited{RoomID: roomID(i + 2), Room: "#plan", By: who("Ann")})
	}
	if len(d.e.invited) > chat.MaxSealedRooms {
		t.Errorf("%d invitations are remembered", len(d.e.invited))
	}
}

func TestQuietHours(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skipf("this machine has no time zones: %v", err)
	}
	day := func(month time.Month, day, hour, minute int) time.Time {
		return time.Date(2026, month, day, hour, minute, 0, 0, berlin)
	}
	for _, tt := range []struct {
		at       time.Time
		from, to string
		want     bool
	}{
		{day(6, 1, 12, 30), "12:00", "13:00", true},
		{day(6, 1, 12, 0), "12:00", "13:00", true},
		{day(6, 1, 13, 0), "12:00", "13:00", false},
		{day(6, 1, 11, 59), "12:00", "13:00", false},
		{day(6, 1, 23, 0), "22:00", "07:00", true}, // over midnight
		{day(6, 1, 0, 0), "22:00", "07:00", true},
		{day(6, 1, 6, 59), "22:00", "07:00", true},
		{day(6, 1, 7, 0), "22:00", "07:00", false},
		{day(6, 1, 21, 59), "22:00", "07:00", false},
		{day(6, 1, 12, 0), "", "", false},
		{day(6, 1, 12, 0), "00:00", "", false},
		// The clock is set forward at 2:00 on March 29 and back at 3:00 on October
		// 25: what the clock on the wall shows counts, however long the night is.
		{day(3, 29, 1, 59).Add(2 * time.Minute), "02:00", "03:00", false}, // 3:01
		{day(3, 29, 6, 59), "22:00", "07:00", true},
		{day(3, 29, 7, 0), "22:00", "07:00", false},
		{day(10, 25, 1, 0).Add(90 * time.Minute), "02:00", "03:00", true},  // the first 2:30
		{day(10, 25, 1, 0).Add(150 * time.Minute), "02:00", "03:00", true}, // and the second
		{day(10, 25, 1, 0).Add(180 * time.Minute), "02:00", "03:00", false},
	} {
		if got := InQuiet(tt.at, tt.from, tt.to); got != tt.want {
			t.Errorf("at %v between %q and %q: %v", tt.at, tt.from, tt.to, got)
		}
	}
}

// The zone is the person's, not that of the clock which the engine is given.
func TestQuietHoursAreThePersons(t *testing.T) {
	d := at(t, noon)
	d.set.QuietFrom, d.set.QuietTo, d.set.Zone = "21:00", "23:00", time.FixedZone("far", 10*3600) // it is 22:00 there
	d.do(d.set)
	d.do(d.said("x"))
	d.want(0, 0)
}

func TestTimesOfDay(t *testing.T) {
	for s, want := range map[string]bool{"22:00": true, "00:00": true, "9:05": true, "24:00": false, "12:60": false, "": false, "noon": false, "12:00:00": false} {
		if _, ok := TimeOfDay(s); ok != want {
			t.Errorf("%q: %v", s, ok)
		}
	}
}

// Whatever happens in whatever order: a conversation rings at most once in a while, and
// once more where the person is called; who is quiet is not rung; what faces were told
// of last is what there is; and the engine does not ask to be woken for ever.
func TestAnAlertNeverNags(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := at(t, noon)
		rang := map[chat.RoomID][]time.Time{}
		shown := map[chat.RoomID]chat.AlertEvent{}
		quiet, viewed := false, 0
		look := func() {
			for _, a := range d.told {
				if shown[a.RoomID] = a; a.Gone {
					delete(shown, a.RoomID)
					continue
				}
				if a.Silent {
					continue
				}
				if quiet {
					rt.Fatalf("somebody who is not to be disturbed is: %+v", a)
				}
				if viewed != 0 && a.RoomID == roomID(viewed) {
					rt.Fatalf("what is on the screen alerts: %+v", a)
				}
				if a.Count <= 0 {
					rt.Fatalf("an alert of nothing: %+v", a)
				}
				rang[a.RoomID] = append(rang[a.RoomID], d.now)
			}
			d.told = nil
		}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			n := rapid.IntRange(1, 5).Draw(rt, "room")
			switch rapid.SampledFrom([]string{"say", "say", "say", "old", "read", "some", "view", "quiet", "wait", "leave"}).Draw(rt, "step") {
			case "say":
				m := d.inRoom(n, chat.RoomPrivate, "x")
				m.Mention = rapid.Bool().Draw(rt, "mention")
				d.do(m)
			case "old":
				m := d.inRoom(n, chat.RoomPrivate, "x")
				m.SentAt = d.now.Add(-time.Hour)
				d.do(m)
			case "read":
				d.do(Read{Room: roomID(n)})
			case "some":
				d.do(Read{Room: roomID(n), Unread: 1})
			case "view":
				if viewed = n; rapid.Bool().Draw(rt, "off") {
					viewed = 0
					d.do(View{})
				} else {
					d.do(View{Room: roomID(n)})
				}
			case "quiet":
				if quiet = !quiet; quiet {
					d.do(Status{chat.Status{State: chat.DoNotDisturb}})
				} else {
					d.do(Status{chat.Status{State: chat.Available}})
				}
			case "leave":
				d.do(Left{Room: roomID(n)})
				delete(rang, roomID(n)) // who comes back begins anew
			case "wait":
				end := d.now.Add(time.Duration(rapid.IntRange(1, 40).Draw(rt, "seconds")) * time.Second)
				for next := d.e.NextTick(); !next.IsZero() && !next.After(end); next = d.e.NextTick() {
					before := d.now
					if next.After(d.now) {
						d.now = next
					}
					d.do(Tick{})
					if len(d.told) == 0 && d.now.Equal(before) && d.e.NextTick().Equal(next) {
						rt.Fatalf("woken at %v for nothing, and again", next)
					}
					look()
				}
				d.now = end
			}
			look()
		}
		for id, times := range rang {
			for i := 2; i < len(times); i++ {
				if times[i].Sub(times[i-2]) < rest {
					rt.Fatalf("%s rang three times within %v: %v", id.Short(), rest, times)
				}
			}
		}
		for i := range 5 { // all is read in the end
			d.do(Read{Room: roomID(i + 1)})
		}
		look()
		if len(shown) != 0 || !d.e.NextTick().IsZero() {
			rt.Fatalf("all is read, and faces still know of %v", shown)
		}
	})
}
