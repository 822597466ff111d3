package demo

import (
	"context"
	"testing"
	"time"

	"earshot/chat"
)

// The play must be what it claims: the person who watches sees every line of it,
// in order, sees who types, who comes and who leaves, and is answered.
func TestAWatcherSeesTheWholePlay(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	show, err := Start(ctx, t.TempDir(), "You", 10, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := show.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	sub := show.You().Feed().Subscribe(0, show.You().Facts)
	defer sub.Close()

	var want []string
	for _, b := range script {
		if b.does == says {
			want = append(want, b.text)
		}
	}
	typed, came, left, answered := false, false, false, false
	for len(want) > 0 || !typed || !came || !left || !answered {
		events, err := sub.Next(ctx)
		if err != nil {
			t.Fatalf("%v; still to be said: %q; typed %v, came %v, left %v, answered %v", err, want, typed, came, left, answered)
		}
		for _, e := range events {
			switch e := e.(type) {
			case chat.TypingEvent:
				typed = typed || e.Typing
			case chat.PersonEvent:
				came = came || (e.Name == "Aiko" && e.Presence == chat.Here)
				left = left || (e.Name == "Jonas" && e.Presence == chat.Gone)
			case chat.MessageEvent:
				switch {
				case e.Text == answers[0].text:
					answered = true
				case len(want) > 0 && e.Text == want[0]:
					want = want[1:]
				case !e.Mine:
					t.Errorf("heard %q, want %q", e.Text, want)
				}
				if e.Text == script[len(script)-3].text { // Mara invites us to speak
					if _, err := show.You().Send(ctx, chat.OpenRoom(chat.Lobby), "Hello?", ""); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}
