package tui

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

func TestItIsSaidOnceHowFarMessagesHaveCome(t *testing.T) {
	f := circle()
	s := open(t, f, 120, 40)
	s.to("@Bob")
	s.press("one", "enter", "two", "enter")
	said := f.said[f.idOf("@Bob")]
	one, two := said[len(said)-2], said[len(said)-1]
	state := func(read int) chat.MessageState {
		if read == 0 {
			return chat.MessageState{State: chat.StateDelivered, Of: 1, Delivered: 1}
		}
		return chat.MessageState{State: chat.StateRead, Of: 1, Delivered: 1, Read: 1}
	}
	s.reach(one, state(0))
	s.want("one  ✓✓ delivered")
	s.reach(two, state(0))
	s.want("two  ✓✓ delivered")
	s.wantNot("one  ✓✓")
	s.reach(one, state(1))
	s.want("one  ✓✓ read", "two  ✓✓ delivered")
	// What an event brings does not tell the state, and takes nothing away.
	changed := *f.at(two.ID)
	changed.State, changed.Text, changed.EditedAt = nil, "two!", f.clock
	s.event(chat.MessageChangedEvent{Message: changed})
	s.want("two!  edited · ✓✓ delivered")
	s.wantNot("two ")
}

// A busy room has messages come further all the time: that costs one call at a time.
func TestStatesAreAskedForOneCallAtATime(t *testing.T) {
	f := circle()
	s := open(t, f, 80, 24)
	s.to("@Bob")
	s.send(statesDueMsg{f.idOf("@Bob")})
	s.hold = true
	before := f.called("messages @Bob")
	for range 50 {
		s.event(chat.StatesEvent{RoomID: f.idOf("@Bob")})
	}
	s.release()
	if n := f.called("messages @Bob") - before; n != 1 {
		t.Fatalf("asked %d times", n)
	}
	s.send(statesDueMsg{f.idOf("@Bob")})
	if n := f.called("messages @Bob") - before; n != 2 {
		t.Fatalf("asked %d times after the pause", n)
	}
	s.send(statesDueMsg{f.idOf("@Bob")})
	s.to("#lobby")
	s.event(chat.StatesEvent{RoomID: f.idOf("@Bob")})
	if n := f.called("messages @Bob") - before; n != 2 {
		t.Fatal("asked for what nobody sees")
	}
	s.to("@Bob")
	if n := f.called("messages @Bob") - before; n != 3 {
		t.Fatalf("asked %d times: not when it was seen again", n)
	}
}

// What comes late is unread, although what stands behind it was read: seeing it tells
// the node so, once.
func TestWhatCameLateIsMarkedReadWhenItIsSeen(t *testing.T) {
	f := newFake()
	ann := f.person("Ann", chat.Here)
	for i := range 40 {
		f.say(chat.Lobby, ann, fmt.Sprint("line ", i))
	}
	s := open(t, f, 80, 24)
	before := f.called("read #lobby")
	lobby := chat.OpenRoom(chat.Lobby)
	late := f.said[lobby][37]
	late.ID, late.Text, late.Late = chat.EntryID(f.id("msg")), "from before", true
	late.SentAt = late.SentAt.Add(time.Millisecond)
	f.said[lobby] = slices.Insert(f.said[lobby], 38, late)
	s.event(chat.MessageEvent{Message: late})
	s.want("from before", "(came late)")
	for range 3 {
		s.event(chat.ReadEvent{RoomID: lobby, Unread: 1, ReadUpTo: &f.said[lobby][40].ID}) // from before the mark
	}
	if n := f.called("read #lobby") - before; n != 1 {
		t.Errorf("marked %d times", n)
	}
	early := f.said[lobby][1]
	early.ID, early.Text, early.Late = chat.EntryID(f.id("msg")), "out of sight", true
	early.SentAt = early.SentAt.Add(time.Millisecond)
	f.said[lobby] = slices.Insert(f.said[lobby], 2, early)
	s.event(chat.MessageEvent{Message: early})
	if n := f.called("read #lobby") - before; n != 1 {
		t.Error("marked as read before it was seen")
	}
	s.press("pgup", "pgup", "pgup")
	if n := f.called("read #lobby") - before; n != 2 {
		t.Errorf("marked %d times once it was seen", n)
	}
}

func TestTheNodeIsToldWhatIsOnTheScreen(t *testing.T) {
	f := circle()
	f.missing = map[chat.RoomID][]chat.Missing{f.idOf("@Bob"): {{From: f.author("Bob"), Count: 2}}}
	s := open(t, f, 80, 24)
	s.to("@Bob")
	s.want("2 messages from Bob not received yet")
	s.to(chat.Lobby)
	s.wantNot("not received yet")
	s.press("x", "y", "z")
	if n := f.called("view"); n != 3 || f.called("view @Bob") != 1 {
		t.Errorf("told %d times: %v", n, f.calls)
	}
	s.event(chat.MissingEvent{RoomID: f.idOf(chat.Lobby), Missing: []chat.Missing{{Count: 1, From: f.author("Eve")}}})
	s.want("1 message from Eve not received yet")
	s.event(chat.MissingEvent{RoomID: f.idOf(chat.Lobby), Missing: []chat.Missing{{Count: 1}}})
	s.want("1 message from somebody unknown not received yet")
	s.event(chat.MissingEvent{RoomID: f.idOf(chat.Lobby)})
	s.wantNot("not received yet")
	s.event(chat.GapEvent{}) // it may have been told meanwhile
	if n := f.called("missing #lobby"); n != 3 {
		t.Errorf("asked %d times what is missing", n)
	}
}

func TestAnsweringEditingAndRemoving(t *testing.T) {
	s, all := planned(t, 100, 30)
	f := s.f
	s.press("half a thought", "f6", "up", "up", "up", "up", "r")
	s.want("Answering Bob: @Mia, can you bring tape?", "half a thought")
	s.press(" more", "enter")
	said := f.said[all[0].RoomID]
	if last := said[len(said)-1]; last.ReplyTo == nil || *last.ReplyTo != all[1].ID || last.Text != "half a thought more" {
		t.Fatalf("sent %+v", last)
	}
	s.want("↳ Bob: @Mia, can you bring tape?")
	s.wantNot("Answering")
	s.press("f6", "r", "esc", "and another", "enter")
	if last := f.said[all[0].RoomID]; last[len(last)-1].ReplyTo != nil {
		t.Fatal("an answer although Esc said no")
	}

	s.press("kept", "f6", "e")
	s.want("› and another")
	s.press("esc")
	s.want("› kept")
	s.press("f6", "e", "!", "enter")
	s.want("and another!  edited", "› kept")
	if f.called("edit and another!") != 1 || f.called("send #plan kept") != 0 {
		t.Fatalf("calls: %v", f.calls)
	}
	s.press("f6", "e", "enter") // unchanged
	if f.called("edit") != 1 {
		t.Fatal("an edit that changes nothing was made")
	}
	s.press("f6", "up", "up", "up", "e") // what Bob said
	s.want("Only what you wrote yourself can be edited.")
	s.press("esc", "f6", "d")
	s.want("Remove this message for everybody?", "may have copied it", "No, leave it as it is")
	if f.called("delete") != 0 {
		t.Fatal("removed without a word")
	}
	s.press("y")
	s.want("(You removed this message)")
	s.wantNot("and another!")
	if f.called("delete") != 1 {
		t.Fatalf("calls: %v", f.calls)
	}
	s.press("f6", "up", "+")
	s.pick("🎉")
	s.want("🎉 you")
	s.press("f6", "up", "+")
	s.pick("🎉")
	s.wantNot("🎉 you")
	s.press("f6", "up", "+", "🦊")
	s.pick("🦊")
	s.want("🦊 you")
}

func TestTheStoryOfAMessageGoesOnWhileItIsOpen(t *testing.T) {
	s, all := planned(t, 100, 30)
	s.press("f6", "enter")
	s.want("Held by your phone and Carla", "Bob: not delivered yet: Bob is not here.")
	d := s.f.stories[all[5].ID]
	d.Recipients = slices.Clone(d.Recipients)
	d.Recipients[0].State, d.Recipients[0].At, d.Recipients[0].Why = chat.StateDelivered, noon, ""
	s.f.stories[all[5].ID] = d
	s.event(chat.StatesEvent{RoomID: all[5].RoomID})
	s.want("Bob: delivered today at 12:00")
	s.f.fail["message"] = chat.Errorf(chat.CodeUnreachable, "The node does not answer.")
	s.event(chat.StatesEvent{RoomID: all[5].RoomID})
	s.want("The node does not answer.", "Then we need more hands.")
}

func TestAChangeWhileAPageIsReadIsNotLost(t *testing.T) {
	f := newFake()
	ann := f.person("Ann", chat.Here)
	was := f.say(chat.Lobby, ann, "befoer")
	s := open(t, f, 80, 24)
	s.want("befoer")
	s.event(chat.GapEvent{}) // everything is read again
	s.hold = true
	s.event(chat.GapEvent{})
	now := was
	now.Text, now.EditedAt = "before", f.clock
	s.event(chat.MessageChangedEvent{Message: now})
	s.release() // the page is of before the change
	s.want("before  edited")
	if n := s.m.conv().room.Unread; n != 0 {
		t.Errorf("a change counts as %d unread messages", n)
	}
}

func TestWhatIsGoneIsNotQuoted(t *testing.T) {
	s, all := planned(t, 100, 30)
	gone := all[1]
	gone.Text, gone.Removed = "", &chat.Removal{By: gone.From, At: noon}
	s.event(chat.MessageChangedEvent{Message: gone})
	s.want("↳ Bob: (removed)")
	s.wantNot("bring tape?")
}

func TestWhatHasDisappearedIsGoneFromTheScreen(t *testing.T) {
	f := circle()
	bob := f.author("Bob")
	for i := range 3 * pageSize {
		f.say("@Bob", bob, fmt.Sprint("one of many ", i))
	}
	s := open(t, f, 80, 24)
	s.to("@Bob")
	id := f.idOf("@Bob")
	over := func(m chat.Message) chat.Message {
		f.said[id] = slices.DeleteFunc(f.said[id], func(o chat.Message) bool { return o.ID == m.ID })
		m.Text, m.Removed = "", &chat.Removal{At: f.clock}
		return m
	}
	last := f.said[id][len(f.said[id])-1]
	s.want(last.Text)
	s.event(chat.MessageChangedEvent{Message: over(last)})
	s.wantNot(last.Text)
	// The oldest that is loaded goes while nobody tells: reading on must not end there.
	over(s.m.conv().tl.msgs[0])
	for range 20 {
		s.press("pgup")
	}
	if c := s.m.conv(); c.broken || c.loadingOlder || len(c.tl.msgs) == 0 {
		t.Fatalf("stuck: %+v", c.tl.msgs)
	}
	s.wantNot("not there")
	for range 20 {
		s.press("pgup")
	}
	s.wantNot("one of many 298")
}

func TestAnAnswerToWhatIsNotLoadedIsAskedForOnce(t *testing.T) {
	f := newFake()
	ann := f.person("Ann", chat.Here)
	old := f.say(chat.Lobby, ann, "long ago")
	for i := range 2 * pageSize {
		f.say(chat.Lobby, ann, fmt.Sprint("between ", i))
	}
	f.say(chat.Lobby, ann, "to that")
	f.at(f.said[chat.OpenRoom(chat.Lobby)][2*pageSize+1].ID).ReplyTo = &old.ID
	s := open(t, f, 80, 24)
	s.want("↳ Ann: long ago")
	s.press("a", "b")
	if n := f.called("message " + old.ID.Short()); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestHowLongMessagesLast(t *testing.T) {
	f := circle()
	s := open(t, f, 130, 30)
	s.to(chat.Lobby)
	s.press("/disappear", "enter")
	s.want("nothing can promise that it goes")
	s.press("esc", "ctrl+u")
	s.to("@Bob")
	s.press("/disappear", "enter")
	s.pick("1 day")
	s.want("removed on every device 1 day after")
	if f.called("disappear") != 0 {
		t.Fatal("changed without a word")
	}
	s.press("y")
	if f.called("disappear @Bob 24h0m0s") != 1 {
		t.Fatalf("calls: %v", f.calls)
	}
	s.press("esc", "esc")
	s.want("messages last 1 day")
	s.to("#choir") // only a member there
	s.press("/disappear", "enter")
	s.want("Only admins and owners")
}

func TestBeingAKeeperIsAskedAndTold(t *testing.T) {
	f := circle()
	f.keeps = chat.Keeper{Held: 3, Used: 12 << 10}
	s := open(t, f, 100, 30)
	s.press("f9")
	s.pick("For people who are away")
	s.want("This node is no keeper", "It holds 3 sealed messages for others", "12 KiB")
	s.pick("with up to 1 GiB")
	s.want("fill up to 1 GiB of the disk")
	if f.called("setkeeper") != 0 {
		t.Fatal("made a keeper without a word")
	}
	s.press("y")
	s.want("gives up to 1 GiB")
	s.event(chat.KeeperEvent{Keeper: chat.Keeper{On: true, Space: 1 << 30, Held: 4, Used: 13 << 10}})
	s.want("It holds 4 sealed messages for others", "13 KiB")
	s.press("o", "y")
	s.want("This node is no keeper")
}

// BenchmarkKeystrokeAmongStates is BenchmarkKeystroke where every message has a
// state, reactions and an answer. It must stay under 2 ms, too.
func BenchmarkKeystrokeAmongStates(b *testing.B) {
	s := loaded(b, 10_000)
	c := s.m.conv()
	for i := range c.tl.msgs {
		m := &c.tl.msgs[i]
		m.State = &chat.MessageState{State: chat.StateDelivered, Of: 9, Delivered: 9, Read: i % 9}
		m.Reactions = []chat.Reaction{{Sign: "👍", People: []chat.PersonID{m.From.Person}}}
		m.ReplyTo = &c.tl.msgs[i/2].ID
	}
	c.missing = []chat.Missing{{From: c.tl.msgs[0].From, Count: 3, Before: &c.tl.msgs[9_990].ID}}
	keys := []tea.KeyPressMsg{{Code: 'x', Text: "x"}, {Code: tea.KeyBackspace}}
	for i := 0; b.Loop(); i++ {
		s.m.Update(keys[i%2])
		s.m.View()
	}
}

// Every view of messages fits every screen.
func TestTalkFitsEveryScreen(t *testing.T) {
	for name, play := range talkScenes {
		for _, size := range [][2]int{{40, 10}, {41, 11}, {63, 13}, {64, 15}, {200, 60}} {
			s, all := planned(t, 80, 24)
			play(s, all)
			s.send(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
			if strings.TrimSpace(s.screen()) == "" {
				t.Errorf("%s shows nothing at %v", name, size)
			}
		}
	}
}
