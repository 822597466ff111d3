package api_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"earshot/chat"
	"earshot/node/api"
	"earshot/node/api/apitest"
)

// presenceOf asks for /v1/presence and returns who is answered.
func presenceOf(t *testing.T, s *api.Server, query string) []api.Presence {
	t.Helper()
	code, _, body := call(t, s, "GET", "/v1/presence?"+query, "")
	var got api.Presences
	if err := json.Unmarshal([]byte(body), &got); code != 200 || err != nil {
		t.Fatalf("%s: %d %s, %v", query, code, body, err)
	}
	return got.Presence
}

func TestPresenceOfOne(t *testing.T) {
	n := apitest.New("Ann")
	s := serve(t, api.Config{Backend: n})
	bob := n.Befriend("Bob")
	n.Tell(bob.Person, chat.Profile{Email: "Bob@Example.org", Phone: "+1 555"})
	n.Show(bob.Person, chat.Status{State: chat.Busy, Text: "lunch"})
	for _, query := range []string{"person=Bob", "person=" + bob.Person.Short(), "email=bob@example.ORG"} {
		got := presenceOf(t, s, query)
		if len(got) != 1 || got[0].Person != bob.Person || got[0].Line != "⊘ Bob busy: lunch" || got[0].Email != "Bob@Example.org" ||
			got[0].Presence != chat.Here || got[0].Status.State != chat.Busy || got[0].Relation != chat.RelationContact {
			t.Errorf("%s: %+v", query, got)
		}
	}
	// What ended meanwhile is not told, whoever has not been told so yet.
	n.Show(bob.Person, chat.Status{State: chat.InMeeting, Until: time.Now().Add(-time.Second), Text: "budget", TextUntil: time.Now().Add(-time.Second)})
	if got := presenceOf(t, s, "person=Bob"); got[0].Status.State != chat.Available || got[0].Line != "● Bob available" {
		t.Errorf("after the meeting: %+v", got)
	}
	n.Depart(bob.Person)
	if got := presenceOf(t, s, "person=Bob"); got[0].Presence != chat.Gone || !strings.HasPrefix(got[0].Line, "○ Bob gone since ") {
		t.Errorf("gone: %+v", got)
	}
}

// Anybody can say that an address is theirs: only contacts are believed.
func TestAStrangerDoesNotAnswerForAnAddress(t *testing.T) {
	n := apitest.New("Ann")
	s := serve(t, api.Config{Backend: n})
	eve := n.Appear("Eve")
	n.Tell(eve.Person, chat.Profile{Email: "boss@example.org"})
	code, _, body := call(t, s, "GET", "/v1/presence?email=boss@example.org", "")
	wantError(t, "a stranger's address", code, body, 404, chat.CodeNotFound)
	if got := presenceOf(t, s, "person="+eve.Person.String()); got[0].Email != "" {
		t.Errorf("a stranger is shown with the address %s", got[0].Email)
	}
	bob, carol := n.Befriend("Bob"), n.Befriend("Carol")
	n.Tell(bob.Person, chat.Profile{Email: "boss@example.org"})
	n.Tell(carol.Person, chat.Profile{Email: "BOSS@example.org"})
	if got := presenceOf(t, s, "email=boss@example.org"); len(got) != 2 {
		t.Errorf("two contacts have the address, and %d are told", len(got))
	}
}

func TestWhatPresenceRefuses(t *testing.T) {
	n := apitest.New("Ann")
	s := serve(t, api.Config{Backend: n})
	bob := n.Befriend("Bob")
	who := bob.Person.Short()
	long := strings.Repeat("x", chat.MaxStatusText+1)
	part := strings.Repeat("x", chat.MaxProfilePart+1)
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		code                     chat.Code
	}{
		{"nobody in particular", "GET", "/v1/presence", "", 400, chat.CodeUsage},
		{"two ways at once", "GET", "/v1/presence?person=Bob&email=b@c", "", 400, chat.CodeUsage},
		{"nobody", "GET", "/v1/presence?person=nobody", "", 404, chat.CodeNotFound},
		{"no such state", "PUT", "/v1/status", `{"state":"asleep"}`, 400, chat.CodeUsage},
		{"an end of nothing", "PUT", "/v1/status", `{"until":"2099-01-01T00:00:00Z"}`, 400, chat.CodeUsage},
		{"an end of no text", "PUT", "/v1/status", `{"state":"busy","text_until":"2099-01-01T00:00:00Z"}`, 400, chat.CodeUsage},
		{"an end that is over", "PUT", "/v1/status", `{"state":"busy","until":"2001-01-01T00:00:00Z"}`, 400, chat.CodeUsage},
		{"a long text", "PUT", "/v1/status", `{"text":"` + long + `"}`, 413, chat.CodeTooLong},
		{"a long part", "PUT", "/v1/profile", `{"title":"` + part + `"}`, 413, chat.CodeTooLong},
		{"a part for friends", "PUT", "/v1/profile", `{"title":"x","for":{"title":"friends"}}`, 400, chat.CodeUsage},
		{"no preview", "PUT", "/v1/alerts", `{"preview":"all"}`, 400, chat.CodeUsage},
		{"no time of day", "PUT", "/v1/alerts", `{"preview":"name","quiet_from":"25:00","quiet_to":"07:00"}`, 400, chat.CodeUsage},
		{"a time of day cut short", "PUT", "/v1/alerts", `{"preview":"name","quiet_from":"7:00","quiet_to":"08:00"}`, 400, chat.CodeUsage},
		{"half of quiet hours", "PUT", "/v1/alerts", `{"preview":"name","quiet_from":"22:00"}`, 400, chat.CodeUsage},
		{"a level of nothing", "PUT", "/v1/rooms/lobby/alerts", `{"level":"some"}`, 400, chat.CodeUsage},
		{"watching a stranger", "POST", "/v1/people/" + n.Appear("Eve").Person.Short() + "/watch", `{}`, 403, chat.CodeNotContact},
		{"a group with a comma", "PUT", "/v1/people/" + who + "/groups", `{"groups":["a,b"]}`, 400, chat.CodeUsage},
	} {
		got, _, body := call(t, s, c.method, c.path, c.body, "Content-Type: application/json")
		wantError(t, c.name, got, body, c.status, c.code)
	}
}

// follow opens a stream of /v1/presence and returns its events, one a line.
func follow(t *testing.T, s *api.Server, query string) *bufio.Scanner {
	t.Helper()
	c, base := caller(t, s)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/v1/presence?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s: %s, %s", query, resp.Status, resp.Header.Get("Content-Type"))
	}
	return bufio.NewScanner(resp.Body)
}

// wantLines reads one event and compares the lines of those in it.
func wantLines(t *testing.T, events *bufio.Scanner, want ...string) {
	t.Helper()
	for events.Scan() {
		data, ok := strings.CutPrefix(events.Text(), "data: ")
		if !ok { // a comment, or the end of an event
			continue
		}
		var got api.Presences
		if err := json.Unmarshal([]byte(data), &got); err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, p := range got.Presence {
			lines = append(lines, p.Line)
		}
		if strings.Join(lines, "; ") != strings.Join(want, "; ") {
			t.Fatalf("got %q, want %q", lines, want)
		}
		return
	}
	t.Fatalf("the stream ended before %q: %v", want, events.Err())
}

func TestPresenceIsFollowed(t *testing.T) {
	n := apitest.New("Ann")
	s := serve(t, api.Config{Backend: n})
	bob, carol := n.Befriend("Bob"), n.Befriend("Carol")
	n.Tell(bob.Person, chat.Profile{Email: "b@example.org"})
	byName, byEmail := follow(t, s, "person=bob"), follow(t, s, "email=b@example.org")
	wantLines(t, byName, "◇ Bob here")
	wantLines(t, byEmail, "◇ Bob here")
	n.Show(carol.Person, chat.Status{State: chat.Available}) // is of no interest
	n.Show(bob.Person, chat.Status{State: chat.Busy})
	wantLines(t, byName, "⊘ Bob busy")
	wantLines(t, byEmail, "⊘ Bob busy")
	n.Tell(carol.Person, chat.Profile{Email: "B@example.org"}) // is now
	wantLines(t, byEmail, "⊘ Bob busy", "● Carol available")
	n.Doubt(bob.Person, true)
	wantLines(t, byName, "⊘ Bob busy (connection lost?)")
	wantLines(t, byEmail, "⊘ Bob busy (connection lost?)", "● Carol available")
	if err := n.ForgetContact(t.Context(), bob.Person); err != nil {
		t.Fatal(err)
	}
	wantLines(t, byEmail, "● Carol available")
	if err := n.ForgetContact(t.Context(), carol.Person); err != nil {
		t.Fatal(err)
	}
	wantLines(t, byEmail)
}

func TestPresenceStreamsAreBoundedWithTheOthers(t *testing.T) {
	n := apitest.New("Ann")
	s := serve(t, api.Config{Backend: n})
	n.Befriend("Bob")
	for range 64 {
		wantLines(t, follow(t, s, "person=Bob"), "◇ Bob here")
	}
	got, _, body := call(t, s, "GET", "/v1/presence?person=Bob", "", "Accept: text/event-stream")
	wantError(t, "one too many", got, body, 429, chat.CodeBusy)
	got, _, body = call(t, s, "GET", "/v1/presence?person=Bob", "")
	if got != 200 {
		t.Errorf("a question beside the streams: %d %s", got, body)
	}
}
