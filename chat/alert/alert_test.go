package alert

import (
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/chat"
)

// desk is an engine on a clock of the test's, and what it wants done.
type desk struct {
	t     *testing.T
	now   time.Time
	e     *Engine
	set   Settings
	told  []chat.AlertEvent
	notes []Notify
	taken []string // keys that were withdrawn
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// at returns a desk whose person wants to be alerted in every way.
func at(t *testing.T, now time.Time) *desk {
	d := &desk{t: t, now: now, e: New(), set: Settings{
		Alerts: chat.Alerts{Desktop: true, Preview: chat.PreviewText, TeamMentions: true}, Zone: time.UTC,
	}}
	d.do(d.set)
	return d
}

func (d *desk) do(in Input) {
	for _, eff := range d.e.Handle(d.now, in) {
		switch eff := eff.(type) {
		case Tell:
			d.told = append(d.told, eff.AlertEvent)
		case Notify:
			d.notes = append(d.notes, eff)
		case Withdraw:
			d.taken = append(d.taken, eff.Key)
		}
	}
}

// pass lets time pass, and has the engine do what it wants to do meanwhile.
func (d *desk) pass(for_ time.Duration) {
	end := d.now.Add(for_)
	for n := 0; ; n++ {
		next := d.e.NextTick()
		if next.IsZero() || next.After(end) {
			break
		}
		if n > 10_000 {
			d.t.Fatalf("the engine wants to be woken without end, next at %v", next)
		}
		if next.After(d.now) {
			d.now = next
		}
		d.do(Tick{})
	}
	d.now = end
}

// forget forgets what was to be done so far.
func (d *desk) forget() { d.told, d.notes, d.taken = nil, nil, nil }

// rings returns the alerts that may make a sound.
func (d *desk) rings() (out []chat.AlertEvent) {
	for _, a := range d.told {
		if !a.Gone && !a.Silent {
			out = append(out, a)
		}
	}
	return out
}

func roomID(n int) (id chat.RoomID) {
	id[0], id[1] = byte(n), byte(n>>8)
	return id
}

func who(name string) (a chat.Author) {
	copy(a.Person[:], name)
	a.Name = name
	return a
}

var entries byte

// said returns a message of Ann's in a direct chat, sent now.
func (d *desk) said(text string) Message {
	entries++
	return Message{
		ID: chat.EntryID{entries}, Room: "@Ann", RoomID: roomID(1), Kind: chat.RoomDirect, From: who("Ann"), Known: true,
		Text: text, SentAt: d.now,
	}
}

// inRoom returns a message of Ann's in an open room.
func (d *desk) inRoom(n int, kind chat.RoomKind, text string) Message {
	m := d.said(text)
	m.Room, m.RoomID, m.Kind = "#plan", roomID(n), kind
	return m
}

func (d *desk) want(rings, notes int) {
	d.t.Helper()
	loud := 0
	for _, n := range d.notes {
		if !n.Silent {
			loud++
		}
	}
	if got := len(d.rings()); got != rings || loud != notes {
		d.t.Fatalf("%d alerts and %d bubbles, want %d and %d\nalerts: %+v\nnotes: %+v", got, loud, rings, notes, d.told, d.notes)
	}
}

func TestAMessageAlertsAtOnce(t *testing.T) {
	d := at(t, noon)
	d.do(d.said("lunch?"))
	d.want(1, 1)
	if a := d.told[0]; a.Count != 1 || a.Text != "lunch?" || a.From.Name != "Ann" || a.RoomID != roomID(1) {
		t.Errorf("told %+v", a)
	}
	if n := d.notes[0]; n.Title != "Ann" || n.Body != "lunch?" || n.Key != roomKey(roomID(1)) {
		t.Errorf("shown %+v", n)
	}
}

func TestABurstIsOneAlertWithTheRightCount(t *testing.T) {
	d := at(t, noon)
	for range 5 {
		d.do(d.said("ping"))
		d.pass(400 * time.Millisecond)
	}
	d.pass(5 * time.Second)
	d.want(1, 1)
	last := d.told[len(d.told)-1]
	if last.Count != 5 || !last.Silent {
		t.Errorf("in the end faces know of %+v", last)
	}
	if len(d.told) != 2 || len(d.notes) != 2 {
		t.Errorf("5 messages are %d alerts and %d notes", len(d.told), len(d.notes))
	}
}

func TestAConversationRingsOnceInAWhile(t *testing.T) {
	d := at(t, noon)
	for range 120 {
		d.do(d.said("and another thing"))
		d.pass(time.Second)
	}
	d.want(4, 4) // at 0, 30, 60 and 90 s
	if most := 2 * 120 / 3; len(d.told) > most {
		t.Errorf("120 messages in 2 minutes are %d alerts, silent ones included", len(d.told))
	}
}

func TestAMentionRingsInAConversationThatHasJustRung(t *testing.T) {
	d := at(t, noon)
	d.do(d.said("hello"))
	d.pass(5 * time.Second)
	m := d.said("@Me now")
	m.Mention = true
	d.do(m)
	d.want(2, 2)
	for range 20 { // but no more than that
		d.do(m)
		d.pass(time.Second)
	}
	d.want(2, 2)
}

func TestAReadTakesTheAlertBackOnWhateverDevice(t *testing.T) {
	d := at(t, noon)
	d.do(d.said("hello"))
	d.do(Read{Room: roomID(1)})
	if last := d.told[len(d.told)-1]; !last.Gone || last.RoomID != roomID(1) {
		t.Errorf("after the read faces know of %+v", last)
	}
	if !slices.Equal(d.taken, []string{roomKey(roomID(1))}) {
		t.Errorf("withdrawn: %v", d.taken)
	}
	d.forget()
	d.pass(time.Hour)
	d.do(Read{Room: roomID(1)})
	if len(d.told)+len(d.notes)+len(d.taken) != 0 {
		t.Errorf("a second read leads to %v %v %v", d.told, d.notes, d.taken)
	}
}

func TestAReadOfSomeOfItCorrectsTheCountInSilence(t *testing.T) {
	d := at(t, noon)
	for range 3 {
		d.do(d.said("x"))
	}
	d.pass(10 * time.Second)
	d.forget()
	d.do(Read{Room: roomID(1), Unread: 2})
	d.want(0, 0)
	if len(d.told) != 1 || d.told[0].Count != 2 {
		t.Errorf("told %+v", d.told)
	}
}

// Otherwise each message of a talk that goes on elsewhere would ring here.
func TestWhatIsReadElsewhereAtOnceDoesNotRingEachTime(t *testing.T) {
	d := at(t, noon)
	for range 20 {
		d.do(d.said("and"))
		d.pass(500 * time.Millisecond)
		d.do(Read{Room: roomID(1)})
		d.pass(500 * time.Millisecond)
	}
	d.want(1, 1)
	d.forget()
	d.do(d.said("are you there?")) // nobody reads it: it rings when the room may
	d.pass(time.Minute)
	d.want(1, 1)
}

func TestWhatIsBeforeTheEyesDoesNotAlert(t *testing.T) {
	d := at(t, noon)
	d.do(d.said("before"))
	d.do(View{Room: roomID(1)})
	if len(d.taken) != 1 {
		t.Error("the alert stays although the room is on the screen")
	}
	d.forget()
	d.do(d.said("while"))
	d.pass(time.Minute)
	d.want(0, 0)
	d.do(View{})
	d.do(d.said("after"))
	d.want(1, 1)
}

func TestLevels(t *testing.T) {
	for _, tt := range []struct {
		level   string
		kind    chat.RoomKind
		mention bool
		want    int
	}{
		{"", chat.RoomDirect, false, 1},
		{"", chat.RoomPrivate, false, 1},
		{"", chat.RoomOpen, false, 0},
		{"", chat.RoomOpen, true, 1},
		{chat.AlertAll, chat.RoomOpen, false, 1},
		{chat.AlertMentions, chat.RoomDirect, false, 0},
		{chat.AlertMentions, chat.RoomDirect, true, 1},
		{chat.AlertNone, chat.RoomDirect, true, 0},
	} {
		d := at(t, noon)
		if tt.level != "" {
			d.set.Rooms = map[chat.RoomID]string{roomID(1): tt.level}
			d.do(d.set)
		}
		m := d.inRoom(1, tt.kind, "x")
		m.Mention = tt.mention
		d.do(m)
		d.pass(time.Minute)
		if got := len(d.rings()); got != tt.want {
			t.Errorf("%+v: %d alerts", tt, got)
		}
	}
}

func TestALevelThatLetsNothingThroughTakesBackWhatItDid(t *testing.T) {
	d := at(t, noon)
	d.do(d.said("x"))
	d.set.Rooms = map[chat.RoomID]string{roomID(1): chat.AlertNone}
	d.do(d.set)
	if last := d.told[len(d.told)-1]; !last.Gone {
		t.Errorf("faces still know of %+v", last)
	}
}

func TestStrangersNeverAlert(t *testing.T) {
	d := at(t, noon)
	d.set.Rooms = map[chat.RoomID]string{roomID(1): chat.AlertAll}
	d.do(d.set)
	m := d.inRoom(1, chat.RoomOpen, "@Me look at this")
	m.Known, m.Mention, m.Team = false, true, true
	d.do(m)
	d.pass(time.Hour)
	if len(d.told)+len(d.notes) != 0 {
		t.Errorf("a stranger leads to %v %v", d.told, d.notes)
	}
}

func TestNothingAlertsBeforeThePersonHasBeenAskedHow(t *testing.T) {
	d := &desk{t: t, now: noon, e: New()}
	d.do(d.said("x"))
	d.do(Free{Person: who("Bob")})
	d.do(Requests{From: []chat.Author{who("Eve")}})
	d.pass(time.Hour)
	if len(d.told)+len(d.notes) != 0 {
		t.Errorf("%v %v", d.told, d.notes)
	}
}

func TestDoNotDisturbIsNotDisturbed(t *testing.T) {
	for _, state := range chat.Availabilities {
		d := at(t, noon)
		d.do(Status{chat.Status{State: state}})
		d.do(d.said("x"))
		d.do(Invited{RoomID: roomID(2), Room: "#plan", By: who("Ann")})
		d.do(Free{Person: who("Bob")})
		d.do(Requests{From: []chat.Author{who("Eve")}})
		d.pass(time.Hour)
		quiet := state == chat.DoNotDisturb || state == chat.InMeeting
		if got := len(d.notes) == 0 && len(d.told) == 0; got != quiet {
			t.Errorf("%s: %v %v", state, d.told, d.notes)
		}
	}
}

func TestAMeetingThatIsOverDisturbsNobody(t *testing.T) {
	d := at(t, noon)
	d.do(Status{chat.Status{State: chat.InMeeting, Until: noon.Add(time.Hour)}})
	d.do(d.said("during"))
	d.pass(time.Hour)
	d.want(0, 0)
	d.do(d.said("after"))
	d.want(1, 1)
	if d.told[0].Count != 2 {
		t.Errorf("what came during the meeting does not count: %+v", d.told[0])
	}
}

func TestOnlyAMentionByTheTeamBreaksThrough(t *testing.T) {
	for _, tt := range []struct {
		team, mention, allowed bool
		want                   int
	}{
		{true, true, true, 1}, {true, true, false, 0}, {true, false, true, 0}, {false, true, true, 0},
	} {
		for _, how := range []string{"dnd", "quiet hours"} {
			d := at(t, noon)
			d.set.TeamMentions = tt.allowed
			if how == "dnd" {
				d.do(Status{chat.Status{State: chat.DoNotDisturb}})
			} else {
				d.set.QuietFrom, d.set.QuietTo = "11:00", "13:00"
			}
			d.do(d.set)
			m := d.said("@Me the server is down")
			m.Team, m.Mention = tt.team, tt.mention
			d.do(m)
			d.pass(time.Minute)
			if got := len(d.rings()); got != tt.want {
				t.Errorf("%s %+v: %d alerts", how, tt, got)
			}
		}
	}
}

// Somebody who is quiet from now on is not rung up by what was to ring in a moment.
func TestQuietCountsForWhatWaits(t *testing.T) {
	d := at(t, noon)
	d.do(d.said("one"))
	d.do(Read{Room: roomID(1)})
	d.pass(time.Second)
	d.do(d.said("two")) // rings when the room may again
	d.forget()
	d.do(Status{chat.Status{State: chat.DoNotDisturb}})
	d.pass(time.Hour)
	d.want(0, 0)
}

func TestCatchingUpIsOneAlert(t *testing.T) {
	d := at(t, noon)
	for i := range 400 {
		m := d.inRoom(1+i%8, chat.RoomPrivate, "while you were away")
		m.SentAt = noon.Add(-time.Hour)
		d.do(m)
		d.pass(10 * time.Millisecond)
	}
	d.want(0, 0)
	d.pass(burst)
	if len(d.notes) != 1 || d.notes[0].Title != "400 new messages." || d.notes[0].Body != "In 8 conversations." {
		t.Errorf("shown: %+v", d.notes)
	}
	if len(d.told) != 8 {
		t.Errorf("faces are told %d times of 8 conversations", len(d.told))
	}
	d.forget()
	for i := range 8 {
		d.do(Read{Room: roomID(1 + i)})
	}
	if !slices.Contains(d.taken, sumKey) {
		t.Errorf("all is read, and the desktop still shows the sum; withdrawn: %v", d.taken)
	}
}

func TestCatchingUpThatDoesNotEndAlertsAllTheSame(t *testing.T) {
	d := at(t, noon)
	for range 20 {
		m := d.said("old")
		m.SentAt = noon.Add(-time.Hour)
		d.do(m)
		d.pass(time.Second)
	}
	d.want(1, 1)
}

// What was read on another device is often heard of a moment after the messages.
func TestWhatWasReadElsewhereMeanwhileDoesNotAlert(t *testing.T) {
	d := at(t, noon)
	m := d.said("old")
	m.SentAt = noon.Add(-time.Hour)
	d.do(m)
	d.pass(time.Second)
	d.do(Read{Room: roomID(1)})
	d.pass(time.Minute)
	d.want(0, 0)
}

func TestWhatWasRemovedIsShownNoMore(t *testing.T) {
	d := at(t, noon)
	m := d.said("oops, wrong window")
	d.do(m)
	d.do(Removed{Room: m.RoomID, ID: m.ID})
	last := d.notes[len(d.notes)-1]
	if strings.Contains(last.Body, "oops") || !last.Silent {
		t.Errorf("the desktop shows %+v", last)
	}
}

func TestLeavingARoomTakesItsAlertBack(t *testing.T) {
	d := at(t, noon)
	d.do(d.said("x"))
	d.do(Left{Room: roomID(1)})
	if last := d.told[len(d.told)-1]; !last.Gone {
		t.Errorf("faces still know of %+v", last)
	}
	if d.e.rooms[roomID(1)] != nil {
		t.Error("the room is remembered for ever")
	}
}
