// Package client speaks to the node that runs on a home, over its local API. It
// does not know how a node works, how to start one (OnLost may be told), or how
// anything is shown.
//
// A Client and its methods may be used from many goroutines. A request whose
// connection breaks is repeated once by itself if it may be asked again without doing
// its work twice, or was not heard: a node that was restarted meanwhile is not
// noticed.
package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"earshot/chat"
	"earshot/node/api"
)

const (
	// dialTimeout bounds reaching a socket of the same machine.
	dialTimeout = 3 * time.Second
	// maxAnswer bounds an answer, in bytes: a full page of the longest messages,
	// escaped.
	maxAnswer = 64 << 20
	// socketHost stands for the socket in URLs; the server knows this name.
	socketHost = "earshot"
)

// Page says which messages to read, see api.Page.
type Page = api.Page

// Version is what Client.Version returns, see api.Version.
type Version = api.Version

// MaxPage bounds the messages of one page, see api.MaxPage.
const MaxPage = api.MaxPage

// Client is a face's way to a node. Make one with Open.
type Client struct {
	home string
	http *http.Client

	mu       sync.Mutex
	endpoint *api.Endpoint // nil until read, and after it failed

	revive    func(context.Context) error
	revivable chan struct{} // holds one token: who may call revive
}

// Open returns a client of the node that runs on home, once that has answered. The
// error has chat.CodeUnreachable if none runs there.
func Open(ctx context.Context, home string) (*Client, error) {
	c := &Client{home: home, revivable: make(chan struct{}, 1)}
	c.revivable <- struct{}{}
	c.http = &http.Client{
		Transport: &http.Transport{
			DialContext:         c.dial,
			MaxIdleConnsPerHost: 4,
			IdleConnTimeout:     90 * time.Second,
			DisableCompression:  true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if _, err := c.Version(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// OnLost sets what to do when no node answers any more: start must return once one
// answers on the home again, or fail. One call of start runs at a time. Without it
// such requests fail with chat.CodeUnreachable. Call OnLost before other methods.
func (c *Client) OnLost(start func(context.Context) error) { c.revive = start }

// Close lets go of idle connections. Streams are closed by their owners.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Endpoint returns how the node was last reached.
func (c *Client) Endpoint() (api.Endpoint, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.endpoint == nil {
		e, err := api.ReadEndpoint(c.home)
		if err != nil {
			return e, err
		}
		c.endpoint = &e
	}
	return *c.endpoint, nil
}

// forget makes the next request look up anew where the node is.
func (c *Client) forget() {
	c.mu.Lock()
	c.endpoint = nil
	c.mu.Unlock()
	c.http.CloseIdleConnections()
}

// dial connects to the endpoint, whatever the URL says.
func (c *Client) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	e, err := c.Endpoint()
	if err != nil {
		return nil, notReached{err}
	}
	if e.Network == "tcp" {
		host, _, err := net.SplitHostPort(e.Address)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
			return nil, chat.Errorf(chat.CodeDenied, "The address of the local API, %.80q, is not on this machine. Restart the node.", e.Address)
		}
	}
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, e.Network, e.Address)
	if err != nil {
		return nil, notReached{err}
	}
	return conn, nil
}

// request sends one request, once.
func (c *Client) request(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	if body == nil {
		return c.carry(ctx, method, path, nil, "")
	}
	return c.carry(ctx, method, path, bytes.NewReader(body), "application/json")
}

// carry sends one request, once, with a body of some media type.
func (c *Client) carry(ctx context.Context, method, path string, body io.Reader, media string) (*http.Response, error) {
	req, err := c.newRequest(ctx, method, path, body, media)
	if err != nil {
		return nil, err
	}
	return c.http.Do(req)
}

// listen asks, once, for a stream of events.
func (c *Client) listen(ctx context.Context, path string) (*http.Response, error) {
	req, err := c.newRequest(ctx, http.MethodGet, path, nil, "")
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/event-stream")
	return c.http.Do(req)
}

func (c *Client) newRequest(ctx context.Context, method, path string, body io.Reader, media string) (*http.Request, error) {
	e, err := c.Endpoint()
	if err != nil {
		return nil, notReached{err}
	}
	host := socketHost
	if e.Network == "tcp" {
		host = e.Address
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+host+path, body)
	if err != nil {
		return nil, err
	}
	if media != "" {
		req.Header.Set("Content-Type", media)
	}
	if e.Token != "" {
		req.Header.Set("Authorization", "Bearer "+e.Token)
	}
	return req, nil
}

// do asks for path with in as JSON and reads the answer into out; either may be
// nil. If nobody answers it looks where the node is now, then has one started. What
// is asked must be such that asking twice does no harm.
func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	return c.ask(ctx, method, path, in, out, lost)
}

// act is do for a POST that would do its work twice: it is asked again only if
// nobody can have heard it.
func (c *Client) act(ctx context.Context, path string, in, out any) error {
	if in == nil {
		in = struct{}{}
	}
	return c.actBy(ctx, http.MethodPost, path, in, out)
}

func (c *Client) actBy(ctx context.Context, method, path string, in, out any) error {
	err := c.ask(ctx, method, path, in, out, unheard)
	if err != nil && ctx.Err() == nil && chat.CodeOf(err) == chat.CodeUnreachable && !unheard(err) {
		return chat.Wrap(chat.CodeUnreachable, err, "The Earshot node ended before it could answer.", "Look whether it was done, and ask again if not.")
	}
	return err
}

// maxTries bounds how often one thing is asked. Where several short commands share a
// home, the node that was just reached may be another one's, and end with it.
const maxTries = 8

// ask is do, except that it asks again only after errors of this kind.
func (c *Client) ask(ctx context.Context, method, path string, in, out any, again func(error) bool) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	for attempt := 1; ; attempt++ {
		err := c.once(ctx, method, path, body, out)
		if err == nil || ctx.Err() != nil || attempt == maxTries || !again(err) {
			return err
		}
		c.forget()
		if attempt > 1 {
			if c.revive == nil {
				return err
			}
			if err := c.restart(ctx); err != nil {
				return err
			}
		}
	}
}

func (c *Client) once(ctx context.Context, method, path string, body []byte, out any) error {
	resp, err := c.request(ctx, method, path, body)
	if err != nil {
		return unreachable(ctx, err)
	}
	defer resp.Body.Close()
	if err := failure(resp); err != nil {
		return err
	}
	if out == nil || resp.StatusCode == http.StatusNoContent {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return unreachable(ctx, err)
	}
	if err := json.Unmarshal(b, out); err != nil {
		return notUnderstood(err)
	}
	return nil
}

// notUnderstood is what an answer that is none of ours comes to.
func notUnderstood(err error) error {
	return chat.Wrap(chat.CodeInternal, err, "The node's answer could not be understood.",
		"It may be of another version: restart it.")
}

// failure returns what the node said was wrong, nil if nothing was.
func failure(resp *http.Response) error {
	if resp.StatusCode < 300 {
		return nil
	}
	var body struct {
		Error *chat.Error `json:"error"`
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err == nil && json.Unmarshal(b, &body) == nil && body.Error != nil {
		return body.Error
	}
	return chat.Errorf(chat.CodeInternal, "The node answered %q, which no node of ours does. Check what listens there.", resp.Status)
}

// unreachable puts a failed request in words, except that it was called off.
func unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var e *chat.Error
	switch {
	case errors.As(err, &e) && unheard(err):
		return notReached{e}
	case e != nil:
		return e
	}
	return chat.Wrap(chat.CodeUnreachable, err, "The Earshot node does not answer.",
		"Start one with `earshot daemon`, or `earshot` for the terminal UI.")
}

// lost reports whether another try, or another node, may do better.
func lost(err error) bool {
	code := chat.CodeOf(err)
	return code == chat.CodeUnreachable || code == chat.CodeStopping
}

// notReached is why a request never left.
type notReached struct{ error }

func (e notReached) Unwrap() error { return e.error }

// unheard reports whether a request failed before anybody could hear it.
func unheard(err error) bool {
	var e notReached
	return errors.As(err, &e)
}

// restart has a node started unless somebody else just did.
func (c *Client) restart(ctx context.Context) error {
	select {
	case <-c.revivable:
		defer func() { c.revivable <- struct{}{} }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := c.once(ctx, http.MethodGet, "/v1/version", nil, nil); err == nil {
		return nil
	}
	c.forget()
	return c.revive(ctx)
}

// roomPath returns the path of something in a room.
func roomPath(room, rest string) (string, error) {
	return pathOf("rooms", room, rest, "room", "rooms")
}

// pathOf returns the path of something of one in a list; what is what it is, and see
// the command that lists them.
func pathOf(list, ref, rest, what, see string) (string, error) {
	if ref == "" || ref == "." || ref == ".." {
		return "", chat.Errorf(chat.CodeNotFound, "There is no %s %q. See `earshot %s`.", what, ref, see)
	}
	return "/v1/" + list + "/" + url.PathEscape(ref) + rest, nil
}

// Me returns who the node is.
func (c *Client) Me(ctx context.Context) (chat.Me, error) {
	var me chat.Me
	return me, c.do(ctx, http.MethodGet, "/v1/me", nil, &me)
}

// People returns everybody the node knows.
func (c *Client) People(ctx context.Context) ([]chat.Person, error) {
	var out api.People
	err := c.do(ctx, http.MethodGet, "/v1/people", nil, &out)
	return out.People, err
}

// Rooms returns the rooms the node is in.
func (c *Client) Rooms(ctx context.Context) ([]chat.Room, error) {
	var out api.Rooms
	err := c.do(ctx, http.MethodGet, "/v1/rooms", nil, &out)
	return out.Rooms, err
}

// Room returns the one room that ref means, see api.RoomBackend.
func (c *Client) Room(ctx context.Context, ref string) (chat.Room, error) {
	var room chat.Room
	path, err := roomPath(ref, "")
	if err != nil {
		return room, err
	}
	return room, c.do(ctx, http.MethodGet, path, nil, &room)
}

// Join joins the open room with this name and makes it if need be.
func (c *Client) Join(ctx context.Context, name string) (chat.Room, error) {
	var room chat.Room
	return room, c.do(ctx, http.MethodPost, "/v1/rooms", api.NewRoom{Name: name}, &room)
}

// Leave leaves a room.
func (c *Client) Leave(ctx context.Context, room string) error {
	path, err := roomPath(room, "")
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodDelete, path, nil, nil)
}

// Send returns once the message is stored by the node. An empty ClientID is filled
// in, so that what is tried again here is sent once.
func (c *Client) Send(ctx context.Context, room string, d chat.Draft) (chat.Message, error) {
	path, err := roomPath(room, "/messages")
	if err != nil {
		return chat.Message{}, err
	}
	if d.ClientID == "" {
		d.ClientID = rand.Text()
	}
	var m chat.Message
	return m, c.do(ctx, http.MethodPost, path, d, &m)
}

// Messages returns a page of a room, oldest first.
func (c *Client) Messages(ctx context.Context, room string, page Page) ([]chat.Message, error) {
	path, err := roomPath(room, "/messages")
	if err != nil {
		return nil, err
	}
	q := url.Values{}
	if page.Limit != 0 {
		q.Set("limit", strconv.Itoa(page.Limit))
	}
	if !page.Before.IsZero() {
		q.Set("before", page.Before.String())
	}
	if !page.After.IsZero() {
		q.Set("after", page.After.String())
	}
	var out api.Messages
	err = c.do(ctx, http.MethodGet, path+"?"+q.Encode(), nil, &out)
	return out.Messages, err
}

// Typing tells the room that the person types, or stopped. It lapses after
// chat.TypingExpiry.
func (c *Client) Typing(ctx context.Context, room string, typing bool) error {
	path, err := roomPath(room, "/typing")
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodPost, path, api.Typing{Typing: typing}, nil)
}

// Read says that the person has read a room up to this message.
func (c *Client) Read(ctx context.Context, room string, upTo chat.EntryID) error {
	path, err := roomPath(room, "/read")
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodPost, path, api.Read{UpTo: upTo}, nil)
}

// Backup writes a backup of the node's keys and history to w. A failure under way
// leaves a part of it there.
func (c *Client) Backup(ctx context.Context, passphrase string, w io.Writer) error {
	body, err := json.Marshal(api.Backup{Passphrase: passphrase})
	if err != nil {
		return err
	}
	resp, err := c.request(ctx, http.MethodPost, "/v1/backup", body)
	if err != nil {
		return unreachable(ctx, err)
	}
	defer resp.Body.Close()
	if err := failure(resp); err != nil {
		return err
	}
	return drain(ctx, w, resp.Body)
}

// drain copies an answer's bytes to w.
func drain(ctx context.Context, w io.Writer, body io.Reader) error {
	in := &source{r: body}
	_, err := io.Copy(w, in)
	if err != nil && in.failed {
		return unreachable(ctx, err)
	}
	return err
}

// source tells a failure to read from one to write.
type source struct {
	r      io.Reader
	failed bool
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.failed = err != nil && !errors.Is(err, io.EOF)
	return n, err
}

// Version returns which program the node is, and which run of it.
func (c *Client) Version(ctx context.Context) (Version, error) {
	var v Version
	return v, c.do(ctx, http.MethodGet, "/v1/version", nil, &v)
}

// Stop asks the node to end; it does so after it has answered.
func (c *Client) Stop(ctx context.Context) error {
	return c.do(ctx, http.MethodPost, "/v1/stop", struct{}{}, nil)
}
