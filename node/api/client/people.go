package client

import (
	"context"
	"net/http"

	"earshot/chat"
	"earshot/node/api"
)

// This file is what is done about other people. Each who is an id of at least 6
// characters, or a contact's name: see api.PeopleBackend.FindPerson.

func personPath(who, rest string) (string, error) {
	return pathOf("people", who, rest, "person", "people")
}

// actOn asks the node to do something about a person.
func (c *Client) actOn(ctx context.Context, who, what string, in, out any) error {
	path, err := personPath(who, what)
	if err != nil {
		return err
	}
	return c.act(ctx, path, in, out)
}

// Person returns the one whom who means.
func (c *Client) Person(ctx context.Context, who string) (chat.Person, error) {
	var p chat.Person
	path, err := personPath(who, "")
	if err != nil {
		return p, err
	}
	return p, c.do(ctx, http.MethodGet, path, nil, &p)
}

// Contacts returns everybody with whom there is a relation: first who is asking,
// then contacts, requested and blocked.
func (c *Client) Contacts(ctx context.Context) ([]chat.Contact, error) {
	var out api.Contacts
	err := c.do(ctx, http.MethodGet, "/v1/contacts", nil, &out)
	return out.Contacts, err
}

// Add asks somebody to become a contact, or takes their request if they have asked.
func (c *Client) Add(ctx context.Context, who, note string) (chat.Contact, error) {
	var contact chat.Contact
	return contact, c.actOn(ctx, who, "/add", api.NewContact{Note: note}, &contact)
}

// Accept takes somebody's request.
func (c *Client) Accept(ctx context.Context, who string) error {
	return c.actOn(ctx, who, "/accept", nil, nil)
}

// Decline drops somebody's request. They are not told.
func (c *Client) Decline(ctx context.Context, who string) error {
	return c.actOn(ctx, who, "/decline", nil, nil)
}

// Block ends every relation with somebody, who sees what they would of one who is
// away.
func (c *Client) Block(ctx context.Context, who string) error {
	return c.actOn(ctx, who, "/block", nil, nil)
}

// Unblock makes a blocked person a stranger.
func (c *Client) Unblock(ctx context.Context, who string) error {
	return c.actOn(ctx, who, "/unblock", nil, nil)
}

// Forget makes a contact a stranger, or withdraws a request.
func (c *Client) Forget(ctx context.Context, who string) error {
	return c.actOn(ctx, who, "/forget", nil, nil)
}

// Decide says whether claimant is the verified contact with a new key, or somebody
// else of that name.
func (c *Client) Decide(ctx context.Context, verified, claimant string, same bool) error {
	return c.actOn(ctx, verified, "/decide", api.Decision{Claimant: claimant, Same: same}, nil)
}

// Verification returns a contact's number and code and, while a comparison is under
// way, where it stands. It asks nobody anything.
func (c *Client) Verification(ctx context.Context, who string) (chat.Verification, error) {
	var v chat.Verification
	path, err := personPath(who, "/verify")
	if err != nil {
		return v, err
	}
	return v, c.do(ctx, http.MethodGet, path, nil, &v)
}

// Verify begins a live comparison with a contact, or joins the one that they have
// begun. What follows comes as chat.VerificationEvent: open the stream first.
func (c *Client) Verify(ctx context.Context, who string) (chat.Verification, error) {
	var v chat.Verification
	return v, c.actOn(ctx, who, "/verify", nil, &v)
}

// SayVerification says whether both see the same symbols.
func (c *Client) SayVerification(ctx context.Context, who string, same bool) error {
	return c.actOn(ctx, who, "/verify/say", api.Same{Same: same}, nil)
}

// CancelVerification ends a comparison.
func (c *Client) CancelVerification(ctx context.Context, who string) error {
	return c.actOn(ctx, who, "/verify/cancel", nil, nil)
}

// MarkVerified takes evidence from the other person's device: the 60 digits, or the
// text of their QR code.
func (c *Client) MarkVerified(ctx context.Context, who, evidence string) error {
	return c.actOn(ctx, who, "/verified", api.Evidence{Evidence: evidence}, nil)
}

// DirectChat returns the chat with a contact.
func (c *Client) DirectChat(ctx context.Context, who string) (chat.Room, error) {
	var room chat.Room
	path, err := personPath(who, "/chat")
	if err != nil {
		return room, err
	}
	return room, c.do(ctx, http.MethodPost, path, struct{}{}, &room)
}

// Privacy returns what this person lets others see.
func (c *Client) Privacy(ctx context.Context) (chat.Privacy, error) {
	var p chat.Privacy
	return p, c.do(ctx, http.MethodGet, "/v1/privacy", nil, &p)
}

// SetPrivacy changes all of it, and returns what holds now.
func (c *Client) SetPrivacy(ctx context.Context, p chat.Privacy) (chat.Privacy, error) {
	var now chat.Privacy
	return now, c.do(ctx, http.MethodPut, "/v1/privacy", p, &now)
}
