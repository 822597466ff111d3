package client

import (
	"context"
	"net/http"

	"earshot/chat"
	"earshot/node/api"
)

// This file is private rooms and this person's own devices.

// actIn asks the node to do something in a room.
func (c *Client) actIn(ctx context.Context, room, what string, in any) error {
	path, err := roomPath(room, what)
	if err != nil {
		return err
	}
	return c.act(ctx, path, in, nil)
}

// Create makes a private room. history is one of chat.HistoryNone and its like, ""
// for the usual.
func (c *Client) Create(ctx context.Context, name, history string) (chat.Room, error) {
	var room chat.Room
	return room, c.act(ctx, "/v1/rooms", api.NewRoom{Name: name, Private: true, History: history}, &room)
}

// Members returns who is in a sealed room, those invited last.
func (c *Client) Members(ctx context.Context, room string) ([]chat.Member, error) {
	path, err := roomPath(room, "/members")
	if err != nil {
		return nil, err
	}
	var out api.Members
	err = c.do(ctx, http.MethodGet, path, nil, &out)
	return out.Members, err
}

// Invite asks a contact into a private room, as chat.RoleMember ("" too) or more.
func (c *Client) Invite(ctx context.Context, room, who, role string) error {
	return c.actIn(ctx, room, "/invite", api.Standing{Who: who, Role: role})
}

// Remove ends somebody's membership, or takes an invitation back.
func (c *Client) Remove(ctx context.Context, room, who string) error {
	return c.actIn(ctx, room, "/remove", api.Standing{Who: who})
}

// SetRole changes what a member may do.
func (c *Client) SetRole(ctx context.Context, room, who, role string) error {
	return c.actIn(ctx, room, "/role", api.Standing{Who: who, Role: role})
}

// Rename changes the name of a private room, for all who are in it.
func (c *Client) Rename(ctx context.Context, room, name string) error {
	return c.actIn(ctx, room, "/rename", api.Rename{Name: name})
}

// SetTopic changes what a private room is about; "" for nothing.
func (c *Client) SetTopic(ctx context.Context, room, topic string) error {
	return c.actIn(ctx, room, "/topic", api.Topic{Topic: topic})
}

// Invitations returns the private rooms that wait for an answer.
func (c *Client) Invitations(ctx context.Context) ([]chat.Invitation, error) {
	var out api.Invitations
	err := c.do(ctx, http.MethodGet, "/v1/invitations", nil, &out)
	return out.Invitations, err
}

func (c *Client) answer(ctx context.Context, room, what string, out any) error {
	path, err := pathOf("invitations", room, what, "invitation to", "invitations")
	if err != nil {
		return err
	}
	return c.act(ctx, path, nil, out)
}

// AcceptInvitation enters a private room. room is its id or at least the first 6
// characters, or its name.
func (c *Client) AcceptInvitation(ctx context.Context, room string) (chat.Room, error) {
	var r chat.Room
	return r, c.answer(ctx, room, "/accept", &r)
}

// DeclineInvitation drops an invitation.
func (c *Client) DeclineInvitation(ctx context.Context, room string) error {
	return c.answer(ctx, room, "/decline", nil)
}

// Devices returns this person's devices, this one first.
func (c *Client) Devices(ctx context.Context) ([]chat.OwnDevice, error) {
	var out api.Devices
	err := c.do(ctx, http.MethodGet, "/v1/devices", nil, &out)
	return out.Devices, err
}

// AddDevice returns a code for a new device. What follows comes as
// chat.PairingEvent: open the stream first.
func (c *Client) AddDevice(ctx context.Context) (chat.Pairing, error) {
	var p chat.Pairing
	return p, c.act(ctx, "/v1/devices/add", nil, &p)
}

// JoinDevice, on the new device, looks for the device that shows the code.
func (c *Client) JoinDevice(ctx context.Context, code, label string) (chat.Pairing, error) {
	var p chat.Pairing
	return p, c.act(ctx, "/v1/devices/join", api.Joining{Code: code, Label: label}, &p)
}

// ConfirmDevice says whether the device is to be added, on both.
func (c *Client) ConfirmDevice(ctx context.Context, yes bool) error {
	return c.act(ctx, "/v1/devices/confirm", api.Confirmation{Yes: yes}, nil)
}

// CancelPairing ends the pairing that is under way.
func (c *Client) CancelPairing(ctx context.Context) error {
	return c.act(ctx, "/v1/devices/cancel", nil, nil)
}

// RevokeDevice ends a device of this person's for good. device is its id or at least
// the first 6 characters, or what it is called.
func (c *Client) RevokeDevice(ctx context.Context, device string) error {
	path, err := pathOf("devices", device, "/revoke", "device", "device list")
	if err != nil {
		return err
	}
	return c.act(ctx, path, nil, nil)
}
