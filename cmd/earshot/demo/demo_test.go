package demo

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/chat"
	"earshot/node/api"
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
	typo := script[slices.IndexFunc(script, func(b beat) bool { return b.does == edits })]
	typed, came, left, asked, verified, edited, replied, reacted := false, false, false, false, false, false, false, false
	busy, away, free := false, false, false
	read := map[place]bool{} // where somebody has read what the watcher said
	answered := map[place]bool{}
	for len(want) > 0 || !typed || !came || !left || !asked || !verified || !edited || !replied || !reacted || !busy || !away || !free || len(answered) < len(answers) || len(read) < 2 {
		events, err := sub.Next(ctx)
		if err != nil {
			t.Fatalf("%v; still to be said: %v; typed %v, came %v, left %v, asked %v, verified %v, edited %v, replied %v, reacted %v, busy %v, away %v, free %v, answered %v, read %v",
				err, want, typed, came, left, asked, verified, edited, replied, reacted, busy, away, free, answered, read)
		}
		for _, e := range events {
			switch e := e.(type) {
			case chat.TypingEvent:
				typed = typed || e.Typing
			case chat.PersonEvent:
				came = came || (e.Name == "Aiko" && e.Presence == chat.Here)
				left = left || (e.Name == "Jonas" && e.Presence == chat.Gone)
				busy = busy || e.Name == "Mara" && e.Status.State == chat.Busy && e.Status.Text != ""
				away = away || e.Name == "Jonas" && e.Status.State == chat.Away
			case chat.FreeEvent:
				if e.Name != "Mara" || !busy {
					t.Errorf("told that %s is free, busy before: %v", e.Name, busy)
				}
				free = true
			case chat.VerificationEvent:
				if e.State == chat.VerificationCompare {
					if err := show.You().SayVerification(ctx, e.Person, true); err != nil {
						t.Fatal(err)
					}
				}
				verified = verified || e.State == chat.VerificationVerified
			case chat.TrayEvent:
				asked = asked || len(e.Requests) == 1 && e.Requests[0].Name == "Aiko" && e.Requests[0].Note != ""
			case chat.StatesEvent:
				for at, room := range show.rooms {
					if room != e.RoomID {
						continue
					}
					page, err := show.You().Messages(ctx, room, api.Page{Limit: api.DefaultPage})
					if err != nil {
						t.Fatal(err)
					}
					for _, m := range page {
						read[at] = read[at] || m.State != nil && m.State.Read > 0
					}
				}
			case chat.MessageChangedEvent:
				edited = edited || e.Text == typo.text && !e.EditedAt.IsZero()
				reacted = reacted || len(e.Reactions) > 0 && e.Reactions[0].Sign == "👍"
			case chat.MessageEvent:
				replied = replied || e.ReplyTo != nil
				answer := false
				for at, lines := range answers {
					if e.Text == lines[0].text && e.RoomID == show.rooms[at] {
						answered[at], answer = true, true
					}
				}
				switch {
				case answer, e.Mine:
				case len(want) > 0 && (e.Text == want[0].text || e.Text == typo.text && strings.Contains(want[0].text, typo.to)) && e.RoomID == show.rooms[want[0].where]:
					want = want[1:]
				default:
					t.Errorf("heard %q in %s, want %v", e.Text, e.Room, want)
				}
				if e.RoomID == show.rooms[direct] && !e.Mine && e.Text != answers[direct][0].text {
					if _, err := show.You().StartVerification(ctx, e.From.Person); err != nil {
						t.Fatal(err)
					}
				}
				if strings.HasPrefix(e.Text, "Say something!") { // Mara invites us to speak
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
