package tui

import (
	"context"
	"time"

	"earshot/chat"
	"earshot/node/api/client"
)

// Connect returns the Client that speaks to a running node through its local API.
// Rooms, people and devices are named there by their whole ids: no name that
// anybody chose leads to the wrong one.
func Connect(c *client.Client) Client { return apiClient{c} }

// apiClient has what needs no other name from the client itself.
type apiClient struct{ *client.Client }

func (c apiClient) Events(ctx context.Context) Events {
	return &apiEvents{ctx: ctx, client: c.Client, stream: c.Client.Events(ctx, client.EventsFrom{})}
}

func (c apiClient) Leave(ctx context.Context, room chat.RoomID) error {
	return c.Client.Leave(ctx, room.String())
}

func (c apiClient) Send(ctx context.Context, room chat.RoomID, d chat.Draft) (chat.Message, error) {
	return c.Client.Send(ctx, room.String(), d)
}

func (c apiClient) Messages(ctx context.Context, room chat.RoomID, p Page) ([]chat.Message, error) {
	return c.Client.Messages(ctx, room.String(), client.Page{Before: p.Before, After: p.After, Limit: p.Limit})
}

func (c apiClient) Typing(ctx context.Context, room chat.RoomID, typing bool) error {
	return c.Client.Typing(ctx, room.String(), typing)
}

func (c apiClient) Read(ctx context.Context, room chat.RoomID, upTo chat.EntryID) error {
	return c.Client.Read(ctx, room.String(), upTo)
}

func (c apiClient) Message(ctx context.Context, id chat.EntryID) (chat.MessageDetail, error) {
	return c.Client.Message(ctx, id.String())
}

func (c apiClient) Edit(ctx context.Context, id chat.EntryID, text string) (chat.Message, error) {
	return c.Client.Edit(ctx, id.String(), text)
}

func (c apiClient) Delete(ctx context.Context, id chat.EntryID) (chat.Message, error) {
	return c.Client.Delete(ctx, id.String())
}

func (c apiClient) React(ctx context.Context, id chat.EntryID, sign string, on bool) (chat.Message, error) {
	return c.Client.React(ctx, id.String(), sign, on)
}

func (c apiClient) Missing(ctx context.Context, room chat.RoomID) ([]chat.Missing, error) {
	return c.Client.Missing(ctx, room.String())
}

func (c apiClient) View(ctx context.Context, room chat.RoomID) error {
	return c.Client.View(ctx, room.String())
}

func (c apiClient) SetDisappear(ctx context.Context, room chat.RoomID, after time.Duration) error {
	return c.Client.SetDisappear(ctx, room.String(), after)
}

func (c apiClient) SetRetention(ctx context.Context, room chat.RoomID, keep time.Duration) error {
	return c.Client.SetRetention(ctx, room.String(), keep)
}

func (c apiClient) FindPerson(ctx context.Context, who string) (chat.Person, error) {
	return c.Person(ctx, who)
}

func (c apiClient) AddContact(ctx context.Context, who chat.PersonID, note string) (chat.Contact, error) {
	return c.Add(ctx, who.String(), note)
}

func (c apiClient) AcceptContact(ctx context.Context, who chat.PersonID) error {
	return c.Accept(ctx, who.String())
}

func (c apiClient) DeclineContact(ctx context.Context, who chat.PersonID) error {
	return c.Decline(ctx, who.String())
}

func (c apiClient) BlockPerson(ctx context.Context, who chat.PersonID) error {
	return c.Block(ctx, who.String())
}

func (c apiClient) UnblockPerson(ctx context.Context, who chat.PersonID) error {
	return c.Unblock(ctx, who.String())
}

func (c apiClient) ForgetContact(ctx context.Context, who chat.PersonID) error {
	return c.Forget(ctx, who.String())
}

func (c apiClient) DecideClaim(ctx context.Context, verified, claimant chat.PersonID, same bool) error {
	return c.Decide(ctx, verified.String(), claimant.String(), same)
}

func (c apiClient) SetPrivacy(ctx context.Context, p chat.Privacy) error {
	_, err := c.Client.SetPrivacy(ctx, p)
	return err
}

func (c apiClient) DirectChat(ctx context.Context, who chat.PersonID) (chat.Room, error) {
	return c.Client.DirectChat(ctx, who.String())
}

func (c apiClient) CreateRoom(ctx context.Context, name, history string) (chat.Room, error) {
	return c.Create(ctx, name, history)
}

func (c apiClient) Members(ctx context.Context, room chat.RoomID) ([]chat.Member, error) {
	return c.Client.Members(ctx, room.String())
}

func (c apiClient) Invite(ctx context.Context, room chat.RoomID, who chat.PersonID, role string) error {
	return c.Client.Invite(ctx, room.String(), who.String(), role)
}

func (c apiClient) Remove(ctx context.Context, room chat.RoomID, who chat.PersonID) error {
	return c.Client.Remove(ctx, room.String(), who.String())
}

func (c apiClient) SetRole(ctx context.Context, room chat.RoomID, who chat.PersonID, role string) error {
	return c.Client.SetRole(ctx, room.String(), who.String(), role)
}

func (c apiClient) RenameRoom(ctx context.Context, room chat.RoomID, name string) error {
	return c.Rename(ctx, room.String(), name)
}

func (c apiClient) SetTopic(ctx context.Context, room chat.RoomID, topic string) error {
	return c.Client.SetTopic(ctx, room.String(), topic)
}

func (c apiClient) AcceptInvitation(ctx context.Context, room chat.RoomID) (chat.Room, error) {
	return c.Client.AcceptInvitation(ctx, room.String())
}

func (c apiClient) DeclineInvitation(ctx context.Context, room chat.RoomID) error {
	return c.Client.DeclineInvitation(ctx, room.String())
}

func (c apiClient) Verification(ctx context.Context, who chat.PersonID) (chat.Verification, error) {
	return c.Client.Verification(ctx, who.String())
}

func (c apiClient) StartVerification(ctx context.Context, who chat.PersonID) (chat.Verification, error) {
	return c.Verify(ctx, who.String())
}

func (c apiClient) SayVerification(ctx context.Context, who chat.PersonID, same bool) error {
	return c.Client.SayVerification(ctx, who.String(), same)
}

func (c apiClient) CancelVerification(ctx context.Context, who chat.PersonID) error {
	return c.Client.CancelVerification(ctx, who.String())
}

func (c apiClient) MarkVerified(ctx context.Context, who chat.PersonID, evidence string) error {
	return c.Client.MarkVerified(ctx, who.String(), evidence)
}

func (c apiClient) RevokeDevice(ctx context.Context, device chat.DeviceID) error {
	return c.Client.RevokeDevice(ctx, device.String())
}

func (c apiClient) Watch(ctx context.Context, who chat.PersonID, on bool) error {
	if !on {
		return c.Unwatch(ctx, who.String())
	}
	return c.Client.Watch(ctx, who.String())
}

func (c apiClient) SetGroups(ctx context.Context, who chat.PersonID, groups []string) (chat.Contact, error) {
	return c.Client.SetGroups(ctx, who.String(), groups)
}

func (c apiClient) SetTeam(ctx context.Context, who chat.PersonID, team bool) (chat.Contact, error) {
	return c.Client.SetTeam(ctx, who.String(), team)
}

func (c apiClient) SetRoomAlerts(ctx context.Context, room chat.RoomID, level string) (chat.Room, error) {
	return c.Client.SetRoomAlerts(ctx, room.String(), level)
}

// apiEvents opens a new stream when the node refused to go on with the last.
type apiEvents struct {
	ctx    context.Context
	client *client.Client
	stream *client.Stream
}

func (e *apiEvents) Next(ctx context.Context) (chat.Event, error) {
	event, err := e.stream.Next(ctx)
	if err != nil && ctx.Err() == nil {
		e.stream.Close()
		e.stream = e.client.Events(e.ctx, client.EventsFrom{})
	}
	return event, err
}

func (e *apiEvents) Close() { e.stream.Close() }
