package client_test

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"earshot/chat"
	"earshot/node/api"
	"earshot/node/api/apitest"
	"earshot/node/api/client"
)

// start returns a client of a node in memory.
func start(t *testing.T) (*apitest.Node, *client.Client) {
	t.Helper()
	home, n := t.TempDir(), apitest.New("Ann")
	serve(t, home, n)
	return n, open(t, home)
}

func wantCode(t *testing.T, what string, err error, code chat.Code) {
	t.Helper()
	if chat.CodeOf(err) != code {
		t.Errorf("%s: %v, want %q", what, err, code)
	}
}

func TestFromStrangerToContact(t *testing.T) {
	n, c := start(t)
	ctx := t.Context()
	relation := func(who chat.Author, want chat.Relation) {
		t.Helper()
		if p, err := c.Person(ctx, who.Person.String()); err != nil || p.Relation != want {
			t.Errorf("%s is %q, %v; want %q", who.Name, p.Relation, err, want)
		}
	}
	bob, eve := n.Appear("Bob"), n.Appear("Eve")
	_, err := c.Person(ctx, "Bob")
	wantCode(t, "the name of a stranger", err, chat.CodeNotFound)
	asked, err := c.Add(ctx, bob.Person.Short(), "it is me")
	if err != nil || asked.Relation != chat.RelationRequested || asked.Note != "it is me" {
		t.Fatalf("Add: %+v, %v", asked, err)
	}
	_, err = c.DirectChat(ctx, bob.Person.String())
	wantCode(t, "a chat with somebody who was only asked", err, chat.CodeNotContact)
	n.Agree(bob.Person)
	relation(bob, chat.RelationContact)
	direct, err := c.DirectChat(ctx, "bob")
	if err != nil || direct.Room != "@Bob" || direct.Kind != chat.RoomDirect || *direct.Person != bob.Person {
		t.Fatalf("DirectChat: %+v, %v", direct, err)
	}
	for _, ref := range []string{"Bob", "@Bob", bob.Person.String(), "@" + bob.Person.Short(), direct.RoomID.String(), direct.RoomID.String()[:6]} {
		if m, err := c.Send(ctx, ref, chat.Draft{Text: "hello"}); err != nil || m.RoomID != direct.RoomID {
			t.Errorf("sent to %s: %+v, %v", ref, m, err)
		}
	}
	other := n.Befriend("BOB")
	for _, ref := range []string{"bob", "@bob"} {
		_, err = c.Room(ctx, ref)
		wantCode(t, "a name that two bear", err, chat.CodeAmbiguous)
		if err != nil && (!strings.Contains(err.Error(), bob.Person.Short()) || !strings.Contains(err.Error(), other.Person.Short())) {
			t.Errorf("the candidates are not told apart: %v", err)
		}
	}

	n.Ask(eve, "let me in")
	contacts, err := c.Contacts(ctx)
	if err != nil || len(contacts) != 3 || contacts[0].Relation != chat.RelationAsking || contacts[0].Note != "let me in" {
		t.Errorf("Contacts: %+v, %v", contacts, err)
	}
	id := eve.Person.String()
	if err := c.Decline(ctx, id); err != nil {
		t.Error(err)
	}
	relation(eve, chat.RelationStranger)
	wantCode(t, "accepting whom was declined", c.Accept(ctx, id), chat.CodeUsage)
	n.Ask(eve, "please")
	if err := c.Accept(ctx, id); err != nil {
		t.Error(err)
	}
	relation(eve, chat.RelationContact)
	if err := c.Block(ctx, "Eve"); err != nil {
		t.Error(err)
	}
	relation(eve, chat.RelationBlocked)
	if err := c.Unblock(ctx, id); err != nil {
		t.Error(err)
	}
	relation(eve, chat.RelationStranger)
	if err := c.Forget(ctx, bob.Person.String()); err != nil {
		t.Error(err)
	}
	relation(bob, chat.RelationStranger)
	for _, ref := range []string{"", ".", "..", "a/b", "?"} {
		wantCode(t, "Block "+ref, c.Block(ctx, ref), chat.CodeNotFound)
	}
}

func TestPrivacyIsKept(t *testing.T) {
	_, c := start(t)
	bob, no := chat.PersonID{1}, false
	want := chat.Privacy{
		Nearby: chat.OnlyContacts, Presence: "groups:sales,board", Typing: chat.Nobody, Read: chat.Everyone, Invisible: true,
		Exceptions: []chat.PrivacyException{{Person: bob, Read: &no}},
	}
	if got, err := c.SetPrivacy(t.Context(), want); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("SetPrivacy: %+v, %v", got, err)
	}
	if got, err := c.Privacy(t.Context()); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Privacy: %+v, %v", got, err)
	}
	older := chat.Privacy{Nearby: chat.Everyone, Presence: chat.Everyone, Read: chat.Everyone}
	if got, err := c.SetPrivacy(t.Context(), older); err != nil || got.Typing != chat.Nobody {
		t.Errorf("a caller that knows nothing of typing changed it: %+v, %v", got, err)
	}
	for _, who := range []string{"friends", "groups:", ""} {
		_, err := c.SetPrivacy(t.Context(), chat.Privacy{Nearby: who})
		wantCode(t, "nobody known", err, chat.CodeUsage)
	}
}

func TestTwoCompareTheirKeys(t *testing.T) {
	n, c := start(t)
	ctx := t.Context()
	bob := n.Befriend("Bob")
	events := c.Events(ctx, client.EventsFrom{})
	defer events.Close()
	expect(t, events, "ready", "person", "person")
	if v, err := c.Verification(ctx, "Bob"); err != nil || v.State != "" || v.Number != apitest.Number || v.QR != apitest.QR {
		t.Fatalf("Verification: %+v, %v", v, err)
	}
	if v, err := c.Verify(ctx, "Bob"); err != nil || v.State != chat.VerificationWaiting || v.Number != apitest.Number || v.QR != apitest.QR {
		t.Fatalf("Verify: %+v, %v", v, err)
	}
	expect(t, events, "verification")
	n.Compare(bob.Person)
	if v := expect(t, events, "verification").(chat.VerificationEvent); v.State != chat.VerificationCompare || len(v.Symbols) != 7 {
		t.Errorf("got %+v", v)
	}
	if err := c.SayVerification(ctx, "Bob", true); err != nil {
		t.Error(err)
	}
	// Each is read before the next comes: of weather, only the newest is kept.
	if v := expect(t, events, "verification").(chat.VerificationEvent); v.State != chat.VerificationSaid {
		t.Errorf("got %+v", v)
	}
	n.Says(bob.Person, true)
	expect(t, events, "person", "contact")
	if v := expect(t, events, "verification").(chat.VerificationEvent); v.State != chat.VerificationVerified {
		t.Errorf("got %+v", v)
	}

	eve := n.Appear("Eve")
	n.Claim(bob.Person, eve.Person)
	_, err := c.Send(ctx, "@Bob", chat.Draft{Text: "secret"})
	wantCode(t, "sending under a claim", err, chat.CodeHeld)
	if err := c.Decide(ctx, "Bob", eve.Person.String(), false); err != nil {
		t.Error(err)
	}
	if _, err := c.Send(ctx, "@Bob", chat.Draft{Text: "secret"}); err != nil {
		t.Errorf("after the decision: %v", err)
	}

	dan := n.Befriend("Dan")
	wantCode(t, "another number", c.MarkVerified(ctx, "Dan", "1"+apitest.Number[1:]), chat.CodeDenied)
	wantCode(t, "no evidence", c.MarkVerified(ctx, "Dan", ""), chat.CodeUsage)
	wantCode(t, "too much of it", c.MarkVerified(ctx, "Dan", strings.Repeat("1", 5000)), chat.CodeTooLong)
	if err := c.MarkVerified(ctx, "Dan", strings.ReplaceAll(apitest.Number, " ", "")); err != nil {
		t.Error(err)
	}
	if p, err := c.Person(ctx, "Dan"); err != nil || p.Relation != chat.RelationVerified {
		t.Errorf("%+v, %v", p, err)
	}
	n.Depart(dan.Person)
	if v, err := c.Verify(ctx, "Dan"); err != nil || v.State != chat.VerificationEnded || v.Number == "" || v.Reason == "" {
		t.Errorf("somebody who is away: %+v, %v", v, err)
	}
	if err := c.CancelVerification(ctx, "Dan"); err != nil {
		t.Error(err)
	}
}

func TestAPrivateRoom(t *testing.T) {
	n, c := start(t)
	ctx := t.Context()
	bob := n.Befriend("Bob")
	plan, err := c.Create(ctx, "Plan", chat.HistoryAll)
	if err != nil || plan.Room != "#plan" || plan.Kind != chat.RoomPrivate || plan.History != chat.HistoryAll || plan.Role != chat.RoleOwner {
		t.Fatalf("Create: %+v, %v", plan, err)
	}
	_, err = c.Create(ctx, "plan", "some")
	wantCode(t, "a history of no kind", err, chat.CodeUsage)
	wantCode(t, "a role of no kind", c.Invite(ctx, "plan", "Bob", "king"), chat.CodeUsage)
	wantCode(t, "inviting a stranger", c.Invite(ctx, "plan", n.Appear("Eve").Person.String(), ""), chat.CodeNotContact)
	if err := c.Invite(ctx, "plan", "Bob", ""); err != nil {
		t.Error(err)
	}
	n.Joins(bob.Person, plan.RoomID)
	wantCode(t, "no role", c.SetRole(ctx, "plan", "Bob", ""), chat.CodeUsage)
	if err := c.SetRole(ctx, "plan", "Bob", chat.RoleAdmin); err != nil {
		t.Error(err)
	}
	if err := c.Rename(ctx, "plan", "Party"); err != nil {
		t.Error(err)
	}
	if err := c.SetTopic(ctx, "party", "who brings what"); err != nil {
		t.Error(err)
	}
	wantCode(t, "a long topic", c.SetTopic(ctx, "party", strings.Repeat("x", chat.MaxTopic+1)), chat.CodeTooLong)
	if got, err := c.Room(ctx, "party"); err != nil || got.RoomID != plan.RoomID || got.Topic != "who brings what" || got.Members != 2 {
		t.Errorf("Room: %+v, %v", got, err)
	}
	members, err := c.Members(ctx, "party")
	if err != nil || len(members) != 2 || members[1].Person != bob.Person || members[1].Role != chat.RoleAdmin {
		t.Errorf("Members: %+v, %v", members, err)
	}
	_, err = c.Members(ctx, "lobby")
	wantCode(t, "members of an open room", err, chat.CodeUsage)
	if err := c.Remove(ctx, "party", "Bob"); err != nil {
		t.Error(err)
	}
	if members, err := c.Members(ctx, "party"); err != nil || len(members) != 1 {
		t.Errorf("Members: %+v, %v", members, err)
	}

	tea := n.Invited(bob, "#tea", chat.HistoryNone, chat.RoleMember)
	also := n.Invited(bob, "#tea", chat.HistoryAll, chat.RoleMember)
	if all, err := c.Invitations(ctx); err != nil || len(all) != 2 || all[0].By.Person != bob.Person {
		t.Errorf("Invitations: %+v, %v", all, err)
	}
	_, err = c.AcceptInvitation(ctx, "tea")
	wantCode(t, "a name of two rooms", err, chat.CodeAmbiguous)
	if got, err := c.AcceptInvitation(ctx, tea.RoomID.String()[:8]); err != nil || got.RoomID != tea.RoomID || got.Role != chat.RoleMember {
		t.Errorf("AcceptInvitation: %+v, %v", got, err)
	}
	if err := c.DeclineInvitation(ctx, also.RoomID.String()); err != nil {
		t.Error(err)
	}
	wantCode(t, "declined twice", c.DeclineInvitation(ctx, "tea"), chat.CodeNotFound)
	n.Removed(bob, tea.RoomID)
	_, err = c.Send(ctx, tea.RoomID.String(), chat.Draft{Text: "hello?"})
	wantCode(t, "said where one is out", err, chat.CodeNotJoined)
}

func TestDevicesComeAndGo(t *testing.T) {
	n, c := start(t)
	ctx := t.Context()
	p, err := c.AddDevice(ctx)
	if err != nil || p.State != chat.PairingCode || p.Code != apitest.Code || p.Expires.IsZero() {
		t.Fatalf("AddDevice: %+v, %v", p, err)
	}
	_, err = c.AddDevice(ctx)
	wantCode(t, "two at once", err, chat.CodeBusy)
	wantCode(t, "confirming nobody", c.ConfirmDevice(ctx, true), chat.CodeNotFound)
	laptop := n.Pair("laptop")
	if err := c.ConfirmDevice(ctx, true); err != nil {
		t.Error(err)
	}
	n.Confirms(true)
	devices, err := c.Devices(ctx)
	if err != nil || len(devices) != 2 || devices[1].Device != laptop || devices[1].Label != "laptop" {
		t.Fatalf("Devices: %+v, %v", devices, err)
	}
	wantCode(t, "no such device", c.RevokeDevice(ctx, "phone"), chat.CodeNotFound)
	wantCode(t, "this device", c.RevokeDevice(ctx, devices[0].Device.String()), chat.CodeDenied)
	if err := c.RevokeDevice(ctx, "laptop"); err != nil {
		t.Error(err)
	}
	if devices, err = c.Devices(ctx); err != nil || !devices[1].Revoked {
		t.Errorf("Devices: %+v, %v", devices, err)
	}
	_, err = c.JoinDevice(ctx, "1111 1111", "")
	wantCode(t, "another code", err, chat.CodeDenied)
	if p, err := c.JoinDevice(ctx, apitest.Code, "desk"); err != nil || p.State != chat.PairingCode || p.Code != "" {
		t.Errorf("JoinDevice: %+v, %v", p, err)
	}
	if err := c.CancelPairing(ctx); err != nil {
		t.Error(err)
	}
	wantCode(t, "confirming what was called off", c.ConfirmDevice(ctx, true), chat.CodeNotFound)
}

// cut is a node whose connection breaks while it does what it is asked.
type cut struct {
	api.Backend
	calls atomic.Int32
}

func (n *cut) CreateRoom(context.Context, string, string) (chat.Room, error) {
	n.calls.Add(1)
	panic(http.ErrAbortHandler)
}

func (n *cut) JoinRoom(context.Context, string) (chat.Room, error) {
	n.calls.Add(1)
	panic(http.ErrAbortHandler)
}

func TestWhatMayHaveBeenDoneIsNotAskedAgain(t *testing.T) {
	home, n := t.TempDir(), &cut{Backend: apitest.New("Ann")}
	stop := serve(t, home, n)
	c := open(t, home)
	_, err := c.Create(t.Context(), "plan", "")
	wantCode(t, "Create", err, chat.CodeUnreachable)
	if got := n.calls.Swap(0); got != 1 {
		t.Errorf("a room was created %d times", got)
	}
	_, err = c.Join(t.Context(), "plan")
	wantCode(t, "Join", err, chat.CodeUnreachable)
	if got := n.calls.Load(); got < 2 {
		t.Errorf("joining was asked for %d times, and does no harm twice", got)
	}
	// What nobody can have heard is asked again.
	stop()
	c.OnLost(func(context.Context) error {
		serve(t, home, apitest.New("Ann"))
		return nil
	})
	if _, err := c.Create(t.Context(), "plan", ""); err != nil {
		t.Error(err)
	}
}
