package client_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"earshot/chat"
)

func TestTheStoryOfAMessage(t *testing.T) {
	n, c := start(t)
	ctx := t.Context()
	bob, carol := n.Befriend("Bob"), n.Appear("Carol")
	first, err := c.Send(ctx, "@Bob", chat.Draft{Text: "Lunhc?"})
	if err != nil || first.State == nil || first.State.State != chat.StateHere || first.State.Of != 1 {
		t.Fatalf("Send: %+v, %v", first, err)
	}
	id := first.ID.String()[:6]
	state := func(want string) chat.MessageDetail {
		t.Helper()
		m, err := c.Message(ctx, id)
		if err != nil || m.State == nil || m.State.State != want {
			t.Fatalf("Message: %+v, %v; want %q", m.State, err, want)
		}
		return m
	}
	n.Hinder(bob.Person, first.ID, "Bob is not here.")
	if m := state(chat.StateHere); m.Recipients[0].Why == "" || m.Recipients[0].Name != "Bob" {
		t.Errorf("what stands in the way is not told: %+v", m.Recipients)
	}
	n.Hold(carol, "contact", first.ID)
	if m := state(chat.StateHeld); len(m.Holders) != 1 || m.Holders[0].Name != "Carol" || m.Holders[0].Until.IsZero() {
		t.Errorf("holders: %+v", m.Holders)
	}
	n.Delivered(bob.Person, first.ID)
	if m := state(chat.StateDelivered); !m.Recipients[0].Devices[0].Holds || m.Recipients[0].Why != "" {
		t.Errorf("recipients: %+v", m.Recipients)
	}
	n.ReadBy(bob.Person, first.ID)
	state(chat.StateRead)

	edited, err := c.Edit(ctx, id, "Lunch?")
	if err != nil || edited.Text != "Lunch?" || edited.EditedAt.IsZero() {
		t.Fatalf("Edit: %+v, %v", edited, err)
	}
	if m := state(chat.StateRead); len(m.Revisions) != 1 || m.Revisions[0].Text != "Lunhc?" {
		t.Errorf("revisions: %+v", m.Revisions)
	}
	n.ReactedBy(bob.Person, first.ID, "👍", true)
	for _, sign := range []string{"👍", "❤️", "👨‍👩‍👧"} { // joiners and selectors arrive as they are
		if _, err := c.React(ctx, id, sign, true); err != nil {
			t.Fatalf("React %s: %v", sign, err)
		}
	}
	if m := state(chat.StateRead); len(m.Reactions) != 3 || len(m.Reactions[0].People) != 2 || !m.Reactions[0].Mine || m.Reactions[2].Sign != "👨‍👩‍👧" {
		t.Errorf("reactions: %+v", m.Reactions)
	}
	if m, err := c.React(ctx, id, "👍", false); err != nil || len(m.Reactions[0].People) != 1 || m.Reactions[0].Mine {
		t.Errorf("a reaction taken back: %+v, %v", m.Reactions, err)
	}
	answer := n.HearDraft(bob, "@Bob", chat.Draft{Text: "Yes, @Ann", ReplyTo: &first.ID})
	if m, err := c.Message(ctx, answer.ID.String()); err != nil || *m.ReplyTo != first.ID || !m.MentionsMe || m.State != nil {
		t.Errorf("an answer: %+v, %v", m, err)
	}
	if m, err := c.Send(ctx, "@Bob", chat.Draft{Text: "12?", ReplyTo: &answer.ID}); err != nil || *m.ReplyTo != answer.ID {
		t.Errorf("answering: %+v, %v", m, err)
	}
	_, err = c.Edit(ctx, answer.ID.String(), "No")
	wantCode(t, "editing what another said", err, chat.CodeDenied)
	_, err = c.Delete(ctx, answer.ID.String())
	wantCode(t, "removing what another said to me", err, chat.CodeDenied)

	if m, err := c.Delete(ctx, id); err != nil || m.Removed == nil || m.Text != "" || m.Removed.By.Name != "Ann" {
		t.Fatalf("Delete: %+v, %v", m, err)
	}
	n.RemovedOn(first.ID, 2, 3)
	if m, err := c.Message(ctx, id); err != nil || m.Text != "" || len(m.Revisions) != 0 || m.RemovedOn != 2 || m.RemovedOf != 3 {
		t.Errorf("a removed message: %+v, %v", m, err)
	}
	for ref, want := range map[string]chat.Code{"": chat.CodeNotFound, ".": chat.CodeNotFound, "..": chat.CodeNotFound, "a/b": chat.CodeBadID, "abc": chat.CodeBadID, "aaaaaaaa": chat.CodeNotFound} {
		_, err := c.Message(ctx, ref)
		wantCode(t, "Message "+ref, err, want)
	}
	_, err = c.React(ctx, id, "..", true)
	wantCode(t, "dots as a reaction", err, chat.CodeUsage)
}

func TestHowLongMessagesLast(t *testing.T) {
	n, c := start(t)
	ctx := t.Context()
	n.Befriend("Bob")
	if err := errors.Join(c.SetDisappear(ctx, "@Bob", 24*time.Hour), c.SetRetention(ctx, "@Bob", 90*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if r, err := c.Room(ctx, "@Bob"); err != nil || r.DisappearAfter != 86400 || r.KeepFor != 90*86400 {
		t.Errorf("%+v, %v", r, err)
	}
	if m, err := c.Send(ctx, "@Bob", chat.Draft{Text: "soon gone"}); err != nil || m.ExpiresAt.Sub(m.SentAt) != 24*time.Hour {
		t.Errorf("%+v, %v", m, err)
	}
	wantCode(t, "in an open room", c.SetDisappear(ctx, "lobby", time.Hour), chat.CodeUsage)
}

func TestWhatIsMissingIsTold(t *testing.T) {
	n, c := start(t)
	bob := n.Appear("Bob")
	m := n.Hear(bob, "#lobby", "the fifth")
	n.Lack("#lobby", bob, 4, m.ID)
	got, err := c.Missing(t.Context(), "lobby")
	if err != nil || len(got) != 1 || got[0].Count != 4 || got[0].From.Name != "Bob" || *got[0].Before != m.ID {
		t.Errorf("%+v, %v", got, err)
	}
	n.Lack("#lobby", bob, 0, chat.EntryID{})
	if got, err := c.Missing(t.Context(), "lobby"); err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if err := c.View(t.Context(), "lobby"); err != nil || len(n.Viewed()) != 1 {
		t.Errorf("%v, %v", n.Viewed(), err)
	}
}

func TestKeeping(t *testing.T) {
	_, c := start(t)
	if k, err := c.SetKeeper(t.Context(), true, 5<<20); err != nil || !k.On || k.Space != 5<<20 {
		t.Errorf("%+v, %v", k, err)
	}
	if k, err := c.Keeper(t.Context()); err != nil || !k.On {
		t.Errorf("%+v, %v", k, err)
	}
	if k, err := c.SetKeeper(t.Context(), false, 0); err != nil || k.On {
		t.Errorf("%+v, %v", k, err)
	}
}

func TestCarrying(t *testing.T) {
	n, c := start(t)
	ctx := t.Context()
	bob := n.Befriend("Bob")
	n.Hear(bob, "@Bob", "one")
	n.Hear(bob, "@Bob", "two")
	var stick bytes.Buffer
	out, err := c.CarryOut(ctx, &stick)
	if err != nil || out.Messages != 2 || out.Rooms != 1 {
		t.Fatalf("CarryOut: %+v, %v", out, err)
	}
	if in, err := c.CarryIn(ctx, bytes.NewReader(stick.Bytes())); err != nil || in.Entries != 0 {
		t.Errorf("what is here already was taken again: %+v, %v", in, err)
	}
	_, other := start(t)
	if in, err := other.CarryIn(ctx, bytes.NewReader(stick.Bytes())); err != nil || in.Held != 2 {
		t.Errorf("CarryIn: %+v, %v", in, err)
	}
	in, err := other.CarryIn(ctx, bytes.NewReader(stick.Bytes()[:stick.Len()-4]))
	wantCode(t, "a torn file", err, chat.CodeInvalid)
	if in.Held != 2 {
		t.Errorf("what was whole before the damage is not told: %+v", in)
	}
	_, err = other.CarryIn(ctx, strings.NewReader("holiday pictures"))
	wantCode(t, "another file", err, chat.CodeInvalid)
	_, err = other.CarryIn(ctx, io.MultiReader(strings.NewReader("apitest carries\n"), failing{}))
	if err == nil || !strings.Contains(err.Error(), "stick") {
		t.Errorf("a stick that was pulled: %v", err)
	}
	if _, err := c.CarryOut(ctx, failing{}); !errors.Is(err, errStick) {
		t.Errorf("a stick that is full: %v", err)
	}
	n.Fail(chat.Errorf(chat.CodeDiskFull, "The disk is full. Make space."))
	_, err = c.CarryOut(ctx, io.Discard)
	wantCode(t, "CarryOut", err, chat.CodeDiskFull)
	_, err = c.CarryIn(ctx, strings.NewReader("x"))
	wantCode(t, "CarryIn", err, chat.CodeDiskFull)
}

var errStick = errors.New("the stick is gone")

// failing is a stick that can be neither read nor written.
type failing struct{}

func (failing) Read([]byte) (int, error)  { return 0, errStick }
func (failing) Write([]byte) (int, error) { return 0, errStick }
