package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"earshot/chat"
	"earshot/node/api"
)

// This file is single messages, and what is held and carried for people who are
// away. A message is named by its id or at least the first 6 characters of it.

// messagePath returns the path of something about a message.
func messagePath(id, rest string) (string, error) {
	if id == "" || id == "." || id == ".." {
		return "", chat.Errorf(chat.CodeNotFound, "There is no message %q. `earshot history --json` shows their ids.", id)
	}
	return "/v1/messages/" + url.PathEscape(id) + rest, nil
}

// Message returns the whole story of one message.
func (c *Client) Message(ctx context.Context, id string) (chat.MessageDetail, error) {
	var m chat.MessageDetail
	path, err := messagePath(id, "")
	if err != nil {
		return m, err
	}
	return m, c.do(ctx, http.MethodGet, path, nil, &m)
}

// Edit changes what a message of one's own says.
func (c *Client) Edit(ctx context.Context, id, text string) (chat.Message, error) {
	var m chat.Message
	path, err := messagePath(id, "")
	if err != nil {
		return m, err
	}
	return m, c.actBy(ctx, http.MethodPatch, path, api.Edit{Text: text}, &m)
}

// Delete removes a message for all who have it.
func (c *Client) Delete(ctx context.Context, id string) (chat.Message, error) {
	var m chat.Message
	path, err := messagePath(id, "")
	if err != nil {
		return m, err
	}
	return m, c.do(ctx, http.MethodDelete, path, nil, &m)
}

// React puts a sign, one emoji, under a message, or takes one's own away.
func (c *Client) React(ctx context.Context, id, sign string, on bool) (chat.Message, error) {
	var m chat.Message
	if sign == "" || sign == "." || sign == ".." {
		return m, chat.Errorf(chat.CodeUsage, "A reaction is one emoji. Give one such as 👍.")
	}
	path, err := messagePath(id, "/reactions/"+url.PathEscape(sign))
	if err != nil {
		return m, err
	}
	if on {
		return m, c.do(ctx, http.MethodPut, path, struct{}{}, &m)
	}
	return m, c.do(ctx, http.MethodDelete, path, nil, &m)
}

// Missing returns what is known to be missing in a room.
func (c *Client) Missing(ctx context.Context, room string) ([]chat.Missing, error) {
	path, err := roomPath(room, "/missing")
	if err != nil {
		return nil, err
	}
	var out api.MissingEntries
	err = c.do(ctx, http.MethodGet, path, nil, &out)
	return out.Missing, err
}

// putIn sets something in a room, which may be asked again without harm.
func (c *Client) putIn(ctx context.Context, room, what string, in any) error {
	path, err := roomPath(room, what)
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodPut, path, in, nil)
}

// View says that a room is on a screen: what is missing there comes first.
func (c *Client) View(ctx context.Context, room string) error {
	return c.putIn(ctx, room, "/view", struct{}{})
}

// SetDisappear has what is said in a sealed room from now on disappear after a time,
// counted in whole seconds; 0 for never.
func (c *Client) SetDisappear(ctx context.Context, room string, after time.Duration) error {
	return c.putIn(ctx, room, "/disappear", api.Lasting{Seconds: int64(after / time.Second)})
}

// SetRetention has everything in a sealed room kept no longer than a time, counted
// in whole seconds; 0 for ever.
func (c *Client) SetRetention(ctx context.Context, room string, keep time.Duration) error {
	return c.putIn(ctx, room, "/retention", api.Lasting{Seconds: int64(keep / time.Second)})
}

// Keeper returns what the node holds for others.
func (c *Client) Keeper(ctx context.Context) (chat.Keeper, error) {
	var k chat.Keeper
	return k, c.do(ctx, http.MethodGet, "/v1/keeper", nil, &k)
}

// SetKeeper has the node hold sealed entries for its contacts, in up to space bytes
// (0 for the usual), or no longer.
func (c *Client) SetKeeper(ctx context.Context, on bool, space int64) (chat.Keeper, error) {
	var k chat.Keeper
	return k, c.do(ctx, http.MethodPut, "/v1/keeper", api.NewKeeper{On: on, Space: space}, &k)
}

// CarryOut writes to w sealed entries, for others to read where they are carried. A
// failure under way leaves a part of them there.
func (c *Client) CarryOut(ctx context.Context, w io.Writer) (chat.Carried, error) {
	var carried chat.Carried
	resp, err := c.request(ctx, http.MethodPost, "/v1/carry/out", []byte("{}"))
	if err != nil {
		return carried, unreachable(ctx, err)
	}
	defer resp.Body.Close()
	if err := failure(resp); err != nil {
		return carried, err
	}
	if err := drain(ctx, w, resp.Body); err != nil {
		return carried, err
	}
	if err := json.Unmarshal([]byte(resp.Trailer.Get("Earshot-Carried")), &carried); err != nil {
		return carried, chat.Wrap(chat.CodeInternal, err, "The node's answer could not be understood.", "It may be of another version: restart it.")
	}
	return carried, nil
}

// CarryIn takes up what CarryOut wrote, here or elsewhere. What was whole before an
// error has been taken, and is told.
func (c *Client) CarryIn(ctx context.Context, r io.Reader) (chat.Carried, error) {
	in := &watched{r: r}
	resp, err := c.carry(ctx, http.MethodPost, "/v1/carry/in", in, "application/octet-stream")
	if err != nil && in.failed.Load() && ctx.Err() == nil {
		return chat.Carried{}, chat.Wrap(chat.CodeInternal, err, "What was to be carried in can't be read to its end.", "Check the file or the stick, and try again: what is here already is not taken twice.")
	}
	if err != nil {
		return chat.Carried{}, unreachable(ctx, err)
	}
	defer resp.Body.Close()
	var out api.CarriedIn
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return chat.Carried{}, unreachable(ctx, err)
	}
	if err := json.Unmarshal(b, &out); err != nil || out.Error == nil && resp.StatusCode >= 300 {
		return chat.Carried{}, chat.Wrap(chat.CodeInternal, err, "The node's answer could not be understood.", "It may be of another version: restart it.")
	}
	if out.Error != nil {
		return out.Carried, out.Error
	}
	return out.Carried, nil
}

// watched is a body of a request, which the connection reads on its own time.
type watched struct {
	r      io.Reader
	failed atomic.Bool // to read; the end is no failure
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.failed.Store(true)
	}
	return n, err
}
