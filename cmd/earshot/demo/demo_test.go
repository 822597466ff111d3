package demo

import (
	"context"
	"testing"
	"time"

	"earshot/chat"
)

// The play must be what it claims: the person who watches sees every line of it, in
// order and in its room, sees who types, who comes, who leaves and who asks, and is
// answered wherever they speak.
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

	var want []beat
	for _, b := range script {
		if b.does == says {
			want = append(want, b)
		}
	}
	typed, came, left, asked, verified := false, false, false, false, false
	answered := map[place]bool{}
	for len(want) > 0 || !typed || !came || !left || !asked || !verified || len(answered) < len(answers) {
		events, err := sub.Next(ctx)
		if err != nil {
			t.Fatalf("%v; still to be said: %v; typed %v, came %v, left %v, asked %v, verified %v, answered %v",
				err, want, typed, came, left, asked, verified, answered)
		}
		for _, e := range events {
			switch e := e.(type) {
			case chat.TypingEvent:
				typed = typed || e.Typing
			case chat.PersonEvent:
				came = came || (e.Name == "Aiko" && e.Presence == chat.Here)
				left = left || (e.Name == "Jonas" && e.Presence == chat.Gone)
			case chat.VerificationEvent:
				if e.State == chat.VerificationCompare {
					if err := show.You().SayVerification(ctx, e.Person, true); err != nil {
						t.Fatal(err)
					}
				}
				verified = verified || e.State == chat.VerificationVerified
			case chat.TrayEvent:
				asked = asked || len(e.Requests) == 1 && e.Requests[0].Name == "Aiko" && e.Requests[0].Note != ""
			case chat.MessageEvent:
				answer := false
				for at, lines := range answers {
					if e.Text == lines[0].text && e.RoomID == show.rooms[at] {
						answered[at], answer = true, true
					}
				}
				switch {
				case answer, e.Mine:
				case len(want) > 0 && e.Text == want[0].text && e.RoomID == show.rooms[want[0].where]:
					want = want[1:]
				default:
					t.Errorf("heard %q in %s, want %v", e.Text, e.Room, want)
				}
				if e.RoomID == show.rooms[direct] && !e.Mine && e.Text != answers[direct][0].text {
					if _, err := show.You().StartVerification(ctx, e.From.Person); err != nil {
						t.Fatal(err)
					}
				}
				if e.Text == script[len(script)-3].text { // Mara invites us to speak
					for _, room := range show.rooms {
						if _, err := show.You().Send(ctx, room, chat.Draft{Text: "Hello?"}); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
		}
	}
}
