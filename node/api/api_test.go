package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"earshot/chat"
	"earshot/node/api"
	"earshot/node/api/apitest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a server on home until the test ends.
func serve(t *testing.T, cfg api.Config) *api.Server {
	t.Helper()
	if cfg.Home == "" {
		cfg.Home = t.TempDir()
	}
	if cfg.Backend == nil {
		cfg.Backend = apitest.New("Ann")
	}
	s, err := api.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s
}

// longHome returns a home whose path no socket fits.
func longHome(t *testing.T) string {
	home := filepath.Join(t.TempDir(), strings.Repeat("long/", 25))
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	return home
}

// caller returns an HTTP client of the server and the URL it is at.
func caller(t *testing.T, s *api.Server) (*http.Client, string) {
	t.Helper()
	e := s.Endpoint()
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, e.Network, e.Address)
	}}
	t.Cleanup(tr.CloseIdleConnections)
	if e.Network == "tcp" {
		return &http.Client{Transport: tr}, "http://" + e.Address
	}
	return &http.Client{Transport: tr}, "http://localhost"
}

// call sends one request; header lines are "Name: value", a Host is set as such.
func call(t *testing.T, s *api.Server, method, path, body string, header ...string) (int, http.Header, string) {
	t.Helper()
	c, base := caller(t, s)
	req, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		switch name {
		case "Host":
			req.Host = value
		case "Content-Type":
			req.Header.Set(name, value)
		default:
			req.Header.Add(name, value)
		}
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

func wantError(t *testing.T, what string, gotStatus int, body string, wantStatus int, code chat.Code) {
	t.Helper()
	var got struct{ Error *chat.Error }
	if err := json.Unmarshal([]byte(body), &got); err != nil || got.Error == nil {
		t.Errorf("%s: %d %q is no error object", what, gotStatus, body)
		return
	}
	if gotStatus != wantStatus || got.Error.Code != code || got.Error.Text == "" {
		t.Errorf("%s: got %d %s %q, want %d %s", what, gotStatus, got.Error.Code, got.Error.Text, wantStatus, code)
	}
}

func TestWhatIsRefused(t *testing.T) {
	n := apitest.New("Ann")
	s := serve(t, api.Config{Backend: n})
	id := "b" + strings.Repeat("a", 51)
	said := n.Hear(n.Appear("Bob"), "#lobby", "hello").ID.String()
	for _, c := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		code                     chat.Code
	}{
		{"another host", "GET", "/v1/me", "", []string{"Host: evil.example"}, 403, chat.CodeDenied},
		{"another host and port", "GET", "/v1/me", "", []string{"Host: evil.example:80"}, 403, chat.CodeDenied},
		{"a page", "GET", "/v1/me", "", []string{"Origin: http://evil.example"}, 403, chat.CodeDenied},
		{"a sandboxed page", "POST", "/v1/rooms/lobby/messages", `{"text":"x"}`, []string{"Origin: null"}, 403, chat.CodeDenied},
		{"a page of another port", "GET", "/v1/me", "", []string{"Origin: http://localhost:8080"}, 403, chat.CodeDenied},
		{"two origins", "GET", "/v1/me", "", []string{"Origin: http://localhost", "Origin: http://evil.example"}, 403, chat.CodeDenied},
		{"a form", "POST", "/v1/rooms/lobby/messages", `{"text":"x"}`, []string{"Sec-Fetch-Site: cross-site"}, 403, chat.CodeDenied},
		{"plain text", "POST", "/v1/rooms/lobby/messages", `{"text":"x"}`, []string{"Content-Type: text/plain"}, 400, chat.CodeUsage},
		{"no route", "GET", "/v1/nothing", "", nil, 404, chat.CodeNotFound},
		{"the root", "GET", "/", "", nil, 404, chat.CodeNotFound},
		{"the wrong method", "DELETE", "/v1/me", "", nil, 405, chat.CodeUsage},
		{"no body", "POST", "/v1/rooms", "", nil, 400, chat.CodeUsage},
		{"broken JSON", "POST", "/v1/rooms", `{"name":`, nil, 400, chat.CodeUsage},
		{"two objects", "POST", "/v1/rooms", `{"name":"#a"}{"name":"#b"}`, nil, 400, chat.CodeUsage},
		{"a wrong type", "POST", "/v1/rooms", `{"name":7}`, nil, 400, chat.CodeUsage},
		{"no name", "POST", "/v1/rooms", `{}`, nil, 400, chat.CodeUsage},
		{"a bad name", "POST", "/v1/rooms", `{"name":"#a b"}`, nil, 400, chat.CodeUsage},
		{"a huge body", "POST", "/v1/rooms", `{"name":"` + strings.Repeat("x", 200<<10) + `"}`, nil, 413, chat.CodeTooLong},
		{"a long text", "POST", "/v1/rooms/lobby/messages", `{"text":"` + strings.Repeat("x", chat.MaxText+1) + `"}`, nil, 413, chat.CodeTooLong},
		{"nothing to send", "POST", "/v1/rooms/lobby/messages", `{"text":" "}`, nil, 400, chat.CodeEmpty},
		{"a long client id", "POST", "/v1/rooms/lobby/messages", `{"text":"x","client_id":"` + id + id + id + `"}`, nil, 413, chat.CodeTooLong},
		{"an unknown room", "GET", "/v1/rooms/nowhere/messages", "", nil, 404, chat.CodeNotFound},
		{"an unknown message", "GET", "/v1/rooms/lobby/messages?before=" + id, "", nil, 404, chat.CodeNotFound},
		{"a bad id", "GET", "/v1/rooms/lobby/messages?before=zz", "", nil, 400, chat.CodeBadID},
		{"a bad id in a body", "POST", "/v1/rooms/lobby/read", `{"up_to":"zz"}`, nil, 400, chat.CodeBadID},
		{"no id in a body", "POST", "/v1/rooms/lobby/read", `{}`, nil, 400, chat.CodeUsage},
		{"both ends of a page", "GET", "/v1/rooms/lobby/messages?before=" + id + "&after=" + id, "", nil, 400, chat.CodeUsage},
		{"a limit of none", "GET", "/v1/rooms/lobby/messages?limit=0", "", nil, 400, chat.CodeUsage},
		{"a limit too high", "GET", "/v1/rooms/lobby/messages?limit=501", "", nil, 400, chat.CodeUsage},
		{"a bad cursor", "GET", "/v1/events?after=-1", "", nil, 400, chat.CodeUsage},
		{"leaving the lobby", "DELETE", "/v1/rooms/lobby", "", nil, 403, chat.CodeDenied},
		{"settings in plain text", "PUT", "/v1/privacy", `{}`, []string{"Content-Type: text/plain"}, 400, chat.CodeUsage},
		{"settings of a form", "PUT", "/v1/privacy", `{}`, []string{"Sec-Fetch-Site: cross-site"}, 403, chat.CodeDenied},
		{"settings for nobody known", "PUT", "/v1/privacy", `{"nearby":"friends"}`, []string{"Content-Type: application/json"}, 400, chat.CodeUsage},
		{"an unknown person", "GET", "/v1/people/nobody", "", nil, 404, chat.CodeNotFound},
		{"blocking an unknown person", "POST", "/v1/people/nobody/block", `{}`, nil, 404, chat.CodeNotFound},
		{"no evidence", "POST", "/v1/people/nobody/verified", `{}`, nil, 400, chat.CodeUsage},
		{"a private room of a bad name", "POST", "/v1/rooms", `{"name":"#a b","private":true}`, nil, 400, chat.CodeUsage},
		{"a history of no kind", "POST", "/v1/rooms", `{"name":"#a","private":true,"history":"some"}`, nil, 400, chat.CodeUsage},
		{"a role of no kind", "POST", "/v1/rooms/lobby/invite", `{"who":"x","role":"king"}`, nil, 400, chat.CodeUsage},
		{"members of an open room", "GET", "/v1/rooms/lobby/members", "", nil, 400, chat.CodeUsage},
		{"no such invitation", "POST", "/v1/invitations/tea/accept", `{}`, nil, 404, chat.CodeNotFound},
		{"a long code", "POST", "/v1/devices/join", `{"code":"` + strings.Repeat("1", 5000) + `"}`, nil, 413, chat.CodeTooLong},
		{"no such device", "POST", "/v1/devices/phone/revoke", `{}`, nil, 404, chat.CodeNotFound},
		{"an unknown message's story", "GET", "/v1/messages/" + id, "", nil, 404, chat.CodeNotFound},
		{"too little of a message's id", "GET", "/v1/messages/abc", "", nil, 400, chat.CodeBadID},
		{"an edit in plain text", "PATCH", "/v1/messages/" + id, `{"text":"x"}`, []string{"Content-Type: text/plain"}, 400, chat.CodeUsage},
		{"an edit of a form", "PATCH", "/v1/messages/" + id, `{"text":"x"}`, []string{"Sec-Fetch-Site: cross-site"}, 403, chat.CodeDenied},
		{"a long sign", "PUT", "/v1/messages/" + said + "/reactions/" + strings.Repeat("x", 65), `{}`, []string{"Content-Type: application/json"}, 413, chat.CodeTooLong},
		{"a word as a sign", "PUT", "/v1/messages/" + said + "/reactions/yes", `{}`, []string{"Content-Type: application/json"}, 400, chat.CodeUsage},
		{"editing what another said", "PATCH", "/v1/messages/" + said, `{"text":"x"}`, []string{"Content-Type: application/json"}, 403, chat.CodeDenied},
		{"removing what another said in the open", "DELETE", "/v1/messages/" + said, "", nil, 403, chat.CodeDenied},
		{"messages that last less than no time", "PUT", "/v1/rooms/lobby/disappear", `{"seconds":-1}`, []string{"Content-Type: application/json"}, 400, chat.CodeUsage},
		{"messages kept for ages", "PUT", "/v1/rooms/lobby/retention", `{"seconds":9223372036854775807}`, []string{"Content-Type: application/json"}, 400, chat.CodeUsage},
		{"messages of the open that disappear", "PUT", "/v1/rooms/lobby/disappear", `{"seconds":60}`, []string{"Content-Type: application/json"}, 400, chat.CodeUsage},
		{"what is missing nowhere", "GET", "/v1/rooms/nowhere/missing", "", nil, 404, chat.CodeNotFound},
		{"a view of nowhere", "PUT", "/v1/rooms/nowhere/view", `{}`, []string{"Content-Type: application/json"}, 404, chat.CodeNotFound},
		{"a keeper of less than no space", "PUT", "/v1/keeper", `{"on":true,"space":-1}`, []string{"Content-Type: application/json"}, 400, chat.CodeUsage},
		{"carrying in JSON", "POST", "/v1/carry/in", `{}`, nil, 400, chat.CodeUsage},
		{"carrying in of a form", "POST", "/v1/carry/in", "x", []string{"Content-Type: application/octet-stream", "Sec-Fetch-Site: cross-site"}, 403, chat.CodeDenied},
		{"carrying in something else", "POST", "/v1/carry/in", "holiday pictures", []string{"Content-Type: application/octet-stream"}, 400, chat.CodeInvalid},
		{"stopping what is no daemon", "POST", "/v1/stop", "{}", nil, 403, chat.CodeDenied},
	} {
		got, header, body := call(t, s, c.method, c.path, c.body, c.header...)
		wantError(t, c.name, got, body, c.status, c.code)
		if c.status == 405 && header.Get("Allow") != "GET" {
			t.Errorf("%s: Allow is %q", c.name, header.Get("Allow"))
		}
		if header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: the answer invites other origins", c.name)
		}
	}
	if got, _, _ := call(t, s, "HEAD", "/v1/events", ""); got != 405 {
		t.Errorf("HEAD /v1/events: %d", got)
	}
}

func TestWhatIsLetIn(t *testing.T) {
	s := serve(t, api.Config{})
	for _, host := range []string{"localhost", "localhost:80", "127.0.0.1", "[::1]", "[::1]:9", "earshot"} {
		if got, _, body := call(t, s, "GET", "/v1/version", "", "Host: "+host); got != 200 {
			t.Errorf("Host %s: %d %s", host, got, body)
		}
	}
	if got, _, body := call(t, s, "GET", "/v1/version", "", "Origin: http://localhost", "Sec-Fetch-Site: same-origin"); got != 200 {
		t.Errorf("same origin: %d %s", got, body)
	}
}

func TestTokenOnLoopback(t *testing.T) {
	s := serve(t, api.Config{Home: longHome(t)})
	e := s.Endpoint()
	if host, _, _ := net.SplitHostPort(e.Address); e.Network != "tcp" || !net.ParseIP(host).IsLoopback() || len(e.Token) < 26 {
		t.Fatalf("endpoint is %+v, want loopback with a token", e)
	}
	for _, header := range []string{"X: y", "Authorization: Bearer ", "Authorization: Bearer " + e.Token + "x", "Authorization: " + e.Token} {
		got, _, body := call(t, s, "GET", "/v1/me", "", header)
		wantError(t, header, got, body, 401, chat.CodeDenied)
	}
	if got, _, body := call(t, s, "GET", "/v1/me", "", "Authorization: Bearer "+e.Token); got != 200 {
		t.Errorf("with the token: %d %s", got, body)
	}
	got, _, body := call(t, s, "GET", "/v1/me", "", "Authorization: Bearer "+e.Token, "Host: earshot")
	wantError(t, "a name others on the LAN can claim", got, body, 403, chat.CodeDenied)
}

func TestFilesOfTheHome(t *testing.T) {
	home := t.TempDir()
	// What a crashed node leaves behind is in nobody's way.
	stale, err := net.Listen("unix", filepath.Join(home, api.SocketFile))
	if err != nil {
		t.Skip("no unix sockets here:", err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	stale.Close()
	if _, err := api.ReadEndpoint(home); chat.CodeOf(err) != chat.CodeUnreachable {
		t.Errorf("without api.json: %v", err)
	}
	if err := os.WriteFile(filepath.Join(home, api.EndpointFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := api.ReadEndpoint(home); chat.CodeOf(err) != chat.CodeUnreachable {
		t.Errorf("with a damaged api.json: %v", err)
	}
	s, err := api.Listen(api.Config{Home: home, Backend: apitest.New("Ann"), Transient: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{api.EndpointFile, api.SocketFile} {
		info, err := os.Stat(filepath.Join(home, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", name, info.Mode())
		}
	}
	e, err := api.ReadEndpoint(home)
	if err != nil || e.PID != os.Getpid() || !e.Transient || e.Address != s.Endpoint().Address {
		t.Errorf("api.json says %+v, %v", e, err)
	}
	if err := s.Close(); err != nil { // without Serve
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(home); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestUnwritableHome(t *testing.T) {
	_, err := api.Listen(api.Config{Home: filepath.Join(t.TempDir(), "missing"), Backend: apitest.New("Ann")})
	if e := chat.AsError(err); e.Code != chat.CodeHomeBroken || e.Hint == "" {
		t.Fatalf("got %v", err)
	}
}

// events opens a stream of server-sent events and returns its lines.
func events(t *testing.T, s *api.Server, query string, header ...string) *bufio.Scanner {
	t.Helper()
	c, base := caller(t, s)
	req, err := http.NewRequestWithContext(t.Context(), "GET", base+"/v1/events"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != "text/event-stream" {
		t.Fatalf("%s: %d %s", query, resp.StatusCode, got)
	}
	return bufio.NewScanner(resp.Body)
}

// expect reads events and compares "type" or "id type" of each.
func expect(t *testing.T, lines *bufio.Scanner, want ...string) {
	t.Helper()
	for _, w := range want {
		got := ""
		for lines.Scan() && lines.Text() != "" {
			if id, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
				got = id + " "
			}
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				e, err := chat.UnmarshalEvent([]byte(data))
				if err != nil {
					t.Fatalf("%s: %v", data, err)
				}
				got += e.EventType()
			}
		}
		if got != w {
			t.Fatalf("got event %q, want %q (%v)", got, w, lines.Err())
		}
	}
}

func TestEvents(t *testing.T) {
	n := apitest.New("Ann")
	s := serve(t, api.Config{Backend: n})
	bob := n.Appear("Bob")
	n.Hear(bob, "#lobby", "before")

	live := events(t, s, "")
	expect(t, live, "ready", "person", "person")
	n.Hear(bob, "#lobby", "now")
	expect(t, live, "3 message")
	n.Publish(chat.TypingEvent{From: bob, Typing: true})
	expect(t, live, "typing")

	expect(t, events(t, s, "?after=0"), "ready", "person", "person", "1 room", "2 message", "3 message")
	expect(t, events(t, s, "?after=2"), "ready", "person", "person", "3 message")
	expect(t, events(t, s, "?after=2&run=another"), "ready", "gap", "person", "person", "3 message")
	expect(t, events(t, s, "?after=0", "Last-Event-ID: 2"), "ready", "gap", "person", "person", "3 message")
	expect(t, events(t, s, "?after=77"), "ready", "person", "person", "gap")
}

// A change is a fact: who was away reads it again, the newest of each message.
func TestChangesOfMessagesAreFacts(t *testing.T) {
	n := apitest.New("Ann")
	s := serve(t, api.Config{Backend: n})
	m := n.Hear(n.Appear("Bob"), "#lobby", "befoer")
	live := events(t, s, "")
	expect(t, live, "ready", "person", "person")
	n.EditedBy(m.ID, "befor")
	n.EditedBy(m.ID, "before")
	expect(t, live, "3 message_changed", "4 message_changed")
	n.Lack("#lobby", m.From, 4, m.ID)
	expect(t, live, "missing")
	expect(t, events(t, s, "?after=1"), "ready", "person", "person", "2 message", "3 message_changed", "4 message_changed")
}

// torn carries a beginning and then fails.
type torn struct{ api.Backend }

func (torn) CarryOut(_ context.Context, w io.Writer) (chat.Carried, error) {
	_, err := io.WriteString(w, "the beginning")
	return chat.Carried{Entries: 7}, errors.Join(err, errors.New("the disk is gone"))
}

func TestNobodyTakesAPartOfWhatIsCarriedForAll(t *testing.T) {
	s := serve(t, api.Config{Backend: torn{apitest.New("Ann")}})
	c, base := caller(t, s)
	resp, err := c.Post(base+"/v1/carry/out", "application/json", strings.NewReader("{}"))
	if err != nil {
		return // cut off before anything came
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err == nil || resp.Trailer.Get("Earshot-Carried") != "" {
		t.Errorf("got %q as a whole, with %q behind it", b, resp.Trailer.Get("Earshot-Carried"))
	}
}

func TestEventStreamsAreBounded(t *testing.T) {
	s := serve(t, api.Config{})
	for range 64 {
		expect(t, events(t, s, ""), "ready")
	}
	got, _, body := call(t, s, "GET", "/v1/events", "")
	wantError(t, "one too many", got, body, 429, chat.CodeBusy)
}

// slow is a node that takes its time.
type slow struct {
	api.Backend
	asked chan struct{}
}

func (n slow) Me(ctx context.Context) (chat.Me, error) {
	close(n.asked)
	<-ctx.Done()
	return chat.Me{}, ctx.Err()
}

func TestCloseIsBounded(t *testing.T) {
	n := slow{apitest.New("Ann"), make(chan struct{})}
	s, err := api.Listen(api.Config{Home: t.TempDir(), Backend: n})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	lines := events(t, s, "")
	expect(t, lines, "ready")
	hung := make(chan error, 1)
	c, base := caller(t, s)
	go func() {
		resp, err := c.Get(base + "/v1/me")
		if err == nil {
			resp.Body.Close()
			err = fmt.Errorf("answered %s", resp.Status)
		}
		hung <- err
	}()
	<-n.asked
	start := time.Now()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 30*time.Second { // of a machine under load
		t.Errorf("Close took %v", took)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	for lines.Scan() { // the person, then the end
	}
	if err := <-hung; !errors.Is(err, io.EOF) && !strings.Contains(fmt.Sprint(err), "reset") {
		t.Errorf("the request that hung ended with %v", err)
	}
}

func TestStop(t *testing.T) {
	stopped := make(chan struct{})
	s := serve(t, api.Config{Stop: func() { close(stopped) }})
	for range 2 { // the second must not close the channel again
		if got, _, body := call(t, s, "POST", "/v1/stop", "{}"); got != 204 {
			t.Fatalf("%d %s", got, body)
		}
	}
	<-stopped
}

func TestDefectsOfTheNodeAreTold(t *testing.T) {
	n := apitest.New("Ann")
	s := serve(t, api.Config{Backend: n})
	n.Fail(errors.New("a nil map"))
	for _, path := range []string{"/v1/me", "/v1/people", "/v1/rooms", "/v1/rooms/lobby/messages", "/v1/events"} {
		got, _, body := call(t, s, "GET", path, "")
		wantError(t, path, got, body, 500, chat.CodeInternal)
	}
	n.Fail(chat.Wrap(chat.CodeDiskFull, io.ErrShortWrite, "The disk is full.", "Make space."))
	got, _, body := call(t, s, "POST", "/v1/rooms/lobby/messages", `{"text":"x"}`)
	wantError(t, "disk full", got, body, 507, chat.CodeDiskFull)
	if strings.Contains(body, "short write") {
		t.Errorf("the answer tells the cause, which is for the log: %s", body)
	}
}
