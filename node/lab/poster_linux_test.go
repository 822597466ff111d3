package lab_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// A poster speaks the local API, for tests that do too much for one process each, or
// read more than the command line shows. It is an independent reading of the API's
// documentation.
type poster struct {
	client *http.Client
	token  string
}

func (s *station) poster() *poster {
	s.t.Helper()
	var at struct{ Network, Address, Token string }
	data, err := os.ReadFile(filepath.Join(s.visible(), "api.json"))
	if err == nil {
		err = json.Unmarshal(data, &at)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	if at.Network == "unix" && s.disk != "" {
		at.Address = filepath.Join(s.disk, "root", at.Address)
	}
	var d net.Dialer
	transport := &http.Transport{
		MaxIdleConnsPerHost: 32,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, at.Network, at.Address)
		},
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &poster{client: &http.Client{Transport: transport}, token: at.Token}
}

// A refusal is what the node answers to what it does not do.
type refusal struct {
	status string
	answer []byte
}

func (r *refusal) Error() string { return fmt.Sprintf("the node answered %s: %s", r.status, r.answer) }

// do calls the API: in becomes the body unless it is nil, and the answer is decoded
// into out unless that is nil.
func (p *poster) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://earshot/v1"+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode/100 != 2:
		return &refusal{resp.Status, answer}
	case out == nil:
		return nil
	}
	return json.Unmarshal(answer, out)
}

// send says something in the lobby and returns its id once it is confirmed.
func (p *poster) send(ctx context.Context, text string) (string, error) {
	var m message
	err := p.do(ctx, http.MethodPost, "/rooms/%23lobby/messages", map[string]string{"text": text, "client_id": text}, &m)
	if err == nil && m.ID == "" {
		err = errors.New("the node confirmed a message without id")
	}
	return m.ID, err
}

// sendMany says so many things, several at a time, and returns their ids.
func (p *poster) sendMany(t *testing.T, count int, text func(int) string) []string {
	t.Helper()
	const writers = 16
	sent := make([]string, count)
	errs := make([]error, writers)
	var wait sync.WaitGroup
	for w := range writers {
		wait.Go(func() {
			for i := w; i < count && errs[w] == nil; i += writers {
				sent[i], errs[w] = p.send(t.Context(), text(i))
			}
		})
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return sent
}
