package tui

import (
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

func TestTheHeaderSaysWhoCanReadAtEveryWidth(t *testing.T) {
	for _, c := range []struct{ room, words string }{
		{chat.Lobby, "open"}, {"@Bob", "verified"}, {"@Carla", "not verified"}, {"#plan", "3 members"}, {"#choir", "2 members"},
	} {
		for width := minWidth; width < 140; width += 7 {
			s := socialStage(t, width, 20)
			s.to(c.room)
			if head, _, _ := strings.Cut(s.screen(), "\n"); !strings.Contains(head, c.words) {
				t.Errorf("%d cells: %q does not say %q", width, head, c.words)
			}
		}
	}
	s := socialStage(t, 120, 24)
	s.to("#choir")
	s.want("newcomers read everything from before")
}

func TestAPrivateRoomIsMadeWithWhatNewcomersRead(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.press("f9", "r")
	s.want("A new private room", "can't be changed")
	s.press("enter")
	s.want("A room needs a name")
	s.press("#tax", "down", "down", "enter")
	s.want1("create #tax all")
	s.want("Write to #tax", "1 member can read this", "Nobody but you is in it yet")
}

func TestTwoRoomsOfOneNameAreToldApartAndWrittenToRightly(t *testing.T) {
	f := circle()
	other := f.private("#plan", chat.HistoryAll, chat.RoleMember, f.author("Carla"))
	f.private("#lobby", chat.HistoryNone, chat.RoleOwner)
	s := open(t, f, 100, 30)
	s.want("#plan [" + other.RoomID.Short()[:4])
	s.run(s.m.enter(indexOf(s.m, other.RoomID)))
	s.send(nil)
	s.want("Write to #plan ["+other.RoomID.Short()+"]", "newcomers read everything")
	s.press("only for Carla", "enter")
	if said := s.f.said[other.RoomID]; len(said) != 1 {
		t.Fatalf("the room on the screen got %v", said)
	}
	for _, c := range s.m.rooms {
		if c.room.Room == chat.Lobby && c.room.Kind == chat.RoomPrivate {
			if name := s.m.roomName(c.room); name == chat.Lobby {
				t.Error("a private room passes for the lobby")
			}
		}
	}
}

func indexOf(m *model, id chat.RoomID) int {
	for i, c := range m.rooms {
		if c.room.RoomID == id {
			return i
		}
	}
	return -1
}

func TestAnInvitationIsReadAndAnswered(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.press("f4")
	s.pick("garden")
	s.want("Bob ✓ asks you into the private room #garden", "4 members", "since they were", "invited")
	s.press("a")
	s.want1("accept invitation")
	s.want("Write to #garden", "5 members")

	s = socialStage(t, 80, 24)
	s.press("f4")
	s.pick("garden")
	s.press("d")
	s.want1("decline invitation")
	s.want("is declined")
	s.press("esc")
	s.wantNot("#garden can")

	v := s.f.invite("#band", chat.HistoryNone, s.f.author("Zoë"), 2)
	s.event(chat.InvitationEvent{Invitation: v})
	s.want("Zoë asks you into the private room #band. F4")
	s.press("f4")
	s.pick("band")
	s.event(chat.InvitationEvent{Invitation: v, Gone: true})
	s.want("does not stand any more")
}

func TestAContactIsInvitedWithARole(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.to("#plan")
	s.press("/invite", "enter")
	s.wantNot("Bob ✓  ") // is a member already
	s.pick("Carla")
	s.want("nothing from before", "not verified Carla")
	s.press("a")
	s.want1("invite #plan Carla admin")
	s.press("/invite Carla member", "enter")
	s.want1("invite #plan Carla member")
	s.to("#choir") // where the user is a member only
	s.press("f5")
	s.wantNot("Invite a contact", "Rename")
	s.press("m")
	s.pick("Carla")
	s.wantNot("Remove", "Make them")
}

func TestRolesNameAndTopicAreChanged(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.to("#plan")
	s.press("/role Zoë admin", "enter")
	s.want1("role #plan Zoë admin")
	s.press("/members", "enter")
	s.pick("Zoë")
	s.want("Zoë is an admin", "Make them a member")
	s.press("m")
	s.want1("role #plan Zoë member")
	s.press("esc", "/rename", "enter", "ctrl+u", "moving day", "enter")
	s.want1("rename moving day")
	s.want("Write to #moving day")
	s.press("/topic Saturday at nine", "enter")
	s.want1("topic Saturday at nine")
	s.want("Saturday at nine")
	s.press("/role Zoë", "enter")
	s.want("what they are to be: owner,")
}

func TestCommandsOfPrivateRoomsSayWhereTheyBelong(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.press("/invite Carla", "enter")
	s.want("#lobby is not a private room")
	s.wantNone("invite")
}

func TestWhoIsRemovedReadsWhyNothingCanBeSent(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.to("#plan")
	s.press("half a sentence")
	out := s.m.conv().room
	out.Role = ""
	s.f.change(out.RoomID, func(r *chat.Room) { r.Role = "" })
	s.event(chat.RoomChangedEvent{Room: out, By: "Bob", What: "removed you"})
	s.want("Bob removed you", "You are not a member any more. Nothing", "I can bring the van")
	s.press("x", "enter")
	s.wantNone("send")
	s.want("invitation leads back")
	s.f.change(out.RoomID, func(r *chat.Room) { r.Left, r.Ended = true, "Bob removed you." })
	s.event(chat.RoomEvent{RoomID: out.RoomID}) // the node takes no part any more
	s.press("esc")
	s.want("Bob removed you. Nothing you write", "I can bring the van", " Ended")
	s.press("ctrl+u", "esc", "tab", "shift+tab")
	s.wantNone("send", "leave")
}

// Whoever goes through the rooms with Tab is not led through what is over.
func TestARoomThatIsLeftCanBeReadAndIsPassedOver(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.to("#plan")
	s.press("/leave", "enter", "y")
	s.want1("leave #plan")
	s.wantNot("🔒#plan", "Write to #plan")
	s.want("You have left #plan", "Write to #lobby", " Ended")
	s.press("tab")
	for range s.m.rooms {
		s.wantNot("I can bring the van")
		s.press("tab")
	}
	s.press("f2")
	s.pick("#plan")
	s.want("I can bring the van", "You left. Nothing you write reaches #plan")
}

func TestChangesInARoomAreToldAndShown(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.to("#plan")
	r := s.m.conv().room
	r.Members, r.Topic = 2, "On the first of April"
	s.f.change(r.RoomID, func(room *chat.Room) { room.Members, room.Topic = r.Members, r.Topic })
	s.event(chat.RoomChangedEvent{Room: r, Members: s.f.members[r.RoomID][:2], What: "carla has joined"})
	s.want(" Carla has joined.")
	s.wantNot("no name")
	s.event(chat.RoomChangedEvent{Room: r, Members: s.f.members[r.RoomID][:2], By: "Bob", What: "removed Zoë"})
	s.want("Bob removed Zoë.", "2 members can read this", "On the first of April")
	s.press("/members", "enter")
	s.wantNot("not a member")
}

// What can't be read is never silent, and appears in its place once it can be read.
func TestWhatCannotBeReadIsSaidAndAppearsOnceItCan(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.to("#plan")
	r := s.m.conv().room
	r.Unreadable = 2
	s.f.change(r.RoomID, func(room *chat.Room) { room.Unreadable = 2 })
	asked := s.f.called("rooms")
	s.f.clock = s.f.clock.Add(time.Hour)
	s.send(tickMsg{s.m.ticks})
	if s.f.called("rooms") != asked {
		t.Error("the node is asked again by the clock")
	}
	s.event(chat.RoomChangedEvent{Room: r})
	s.want("2 messages can't be read here (yet)")
	s.press("/unreadable", "enter")
	s.want("2 messages in #plan can't be read on this device", "newcomers read nothing from before")
	s.press("esc")
	bob := s.f.author("Bob")
	opened := s.f.say("#plan", bob, "and the ropes")
	first := s.f.said[r.RoomID][0]
	opened.SentAt = first.SentAt.Add(time.Millisecond)
	s.f.said[r.RoomID] = []chat.Message{first, opened, s.f.said[r.RoomID][1]}
	r.Unreadable = 0
	s.f.change(r.RoomID, func(room *chat.Room) { room.Unreadable = 0 })
	s.event(chat.MessageEvent{Message: opened})
	s.want("and the ropes")
	s.wantNot("can't be read")
}

func TestSymbolsAreComparedAndNotWavedThrough(t *testing.T) {
	compare := func() (*stage, chat.Verification) {
		s := socialStage(t, 80, 24)
		s.f.check = chat.Verification{State: chat.VerificationWaiting, Number: number, QR: "earshot:verify:1"}
		s.to("@Carla")
		s.press("/verify", "enter")
		s.want("12345 67890", "They are asked whether they want to, now")
		s.wantNone("verify Carla")
		s.press("enter")
		s.want1("verify Carla")
		s.want("Waiting for Carla", "12345 67890")
		v := s.f.check
		v.Person, v.State, v.Symbols = s.f.author("Carla").Person, chat.VerificationCompare, symbols
		s.event(chat.VerificationEvent{Verification: v})
		s.want("1   🐙  octopus", "7   🦊  fox")
		return s, v
	}
	s, v := compare()
	s.press("enter", "enter")
	s.wantNone("say")
	s.press("y")
	s.want1("say Carla true")
	v.State = chat.VerificationSaid
	s.event(chat.VerificationEvent{Verification: v})
	s.want("You said that they are the same. Waiting")
	v.State = chat.VerificationVerified
	s.event(chat.VerificationEvent{Verification: v}, chat.ContactEvent{Contact: s.f.relate(s.f.author("Carla"), chat.RelationVerified, "")})
	s.want("Carla is verified ✓")
	s.press("esc")
	s.want("· verified")

	s, v = compare()
	s.press("n")
	s.want1("say Carla false")
	v.State = chat.VerificationDifferent
	s.event(chat.VerificationEvent{Verification: v})
	s.want("The symbols differ: Carla is not verified")
}

func TestWhoWantsToCompareWaitsInTheTray(t *testing.T) {
	s := socialStage(t, 80, 24)
	carla := s.f.author("Carla").Person
	s.event(chat.VerificationEvent{Verification: chat.Verification{Person: carla, State: chat.VerificationAsked}})
	s.want("Carla wants to compare symbols", "3 waiting")
	s.f.check = chat.Verification{State: chat.VerificationCompare, Symbols: symbols}
	s.press("f4")
	s.pick("Carla")
	s.want1("verify Carla")
	s.wantNone("look at")
	s.want("octopus")
	s.event(chat.VerificationEvent{Verification: chat.Verification{Person: carla, State: chat.VerificationEnded, Reason: "Carla went away."}})
	s.want("Carla went away.")
}

func TestANumberIsTypedAndRefusedInPlainWords(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.f.check = chat.Verification{State: chat.VerificationEnded, Number: number, QR: "earshot:verify:1", Reason: "Carla is not here."}
	s.to("@Carla")
	s.press("/verify", "enter", "s")
	s.want("Carla is not here.")
	s.press("t", "enter")
	s.want("Type or paste the number first")
	s.f.fail["mark"] = chat.Errorf(chat.CodeDenied, "These digits are not Carla's. Compare them once more.")
	s.send(tea.PasteMsg{Content: number + "\n"})
	s.press("enter")
	s.want("These digits are not Carla's")
	clear(s.f.fail)
	s.press("enter")
	s.want("Carla is verified ✓", "· verified")
}

func TestACodeIsDrawnWhereItFitsElseSaidInWords(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.press("/devices", "enter", "a", "q")
	s.want("▀", "earshot:pair:1")
	s.send(tea.WindowSizeMsg{Width: 40, Height: 10})
	s.want("needs a window of", "earshot:pair:1")
}

func TestADeviceIsAddedOnlyAfterItIsConfirmed(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.press("/devices", "enter", "a")
	s.want("40718325", "until 12:05:00")
	s.event(chat.PairingEvent{Pairing: chat.Pairing{State: chat.PairingConfirm, Label: "phone", Device: s.f.devices[1].Device}})
	s.want("phone", s.f.devices[1].Device.String()[:20], "Is it in your hands")
	s.press("y")
	s.want1("confirm device true")
	s.want("Confirm it on the other device too")
	s.event(chat.PairingEvent{Pairing: chat.Pairing{State: chat.PairingDone}})
	s.want("one person now")
	s.f.devices = append(s.f.devices, chat.OwnDevice{Device: chat.DeviceID{1}, Label: "new phone", Presence: chat.Here})
	s.event(chat.PairingEvent{Pairing: chat.Pairing{State: chat.PairingDone}})
	s.press("esc")
	s.want("new phone")

	s = socialStage(t, 80, 24)
	s.press("/devices", "enter", "a")
	s.event(chat.PairingEvent{Pairing: chat.Pairing{State: chat.PairingConfirm, Label: "phone"}})
	s.press("enter") // stands on no
	s.want1("confirm device false")
	s.press("j", "1234", "enter")
	s.want1("join device 1234")
	s.event(chat.PairingEvent{Pairing: chat.Pairing{State: chat.PairingFailed, Reason: "The code was wrong."}})
	s.want("The device was not added. The code was wrong.")
}

// Every command of the interface's own opens something or says why not: none is
// only listed.
func TestEveryCommandDoesSomething(t *testing.T) {
	for _, cmd := range builtins {
		for _, args := range []string{"", " Carla", " #somewhere", " on"} {
			s := socialStage(t, 80, 24)
			s.to("#plan")
			before := s.screen()
			s.press("/" + cmd.Name + args)
			s.press("enter")
			if s.screen() == before && !s.quit && s.f.called(cmd.Name) == 0 {
				t.Errorf("/%s%s does nothing", cmd.Name, args)
			}
		}
	}
}
