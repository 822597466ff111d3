package discovery

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestWatcherReportsEachChangeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		eth := iface(2, "eth0", lan, "10.0.0.1/24")
		var now []Interface
		var broken error
		var got []string
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			Watcher{List: func() ([]Interface, error) { return now, broken }}.Run(ctx, func(usable []Interface) {
				got = append(got, names(usable))
			})
		}()
		for _, step := range []struct {
			what string
			now  []Interface
			err  error
			want []string // all reports so far
		}{
			{"none at the start is reported too", nil, nil, []string{""}},
			{"plugged in", []Interface{eth}, nil, []string{"", "eth0"}},
			{"nothing new", []Interface{eth}, nil, []string{"", "eth0"}},
			{"an adapter that is not used", []Interface{eth, iface(3, "docker0", lan, "172.17.0.1/16")}, nil, []string{"", "eth0"}},
			{"an unreadable list is no news", nil, errors.New("no"), []string{"", "eth0"}},
			{"another address", []Interface{iface(2, "eth0", lan, "10.0.0.2/24")}, nil, []string{"", "eth0", "eth0"}},
			{"made again with the same name", []Interface{iface(9, "eth0", lan, "10.0.0.2/24")}, nil, []string{"", "eth0", "eth0", "eth0"}},
			{"unplugged", nil, nil, []string{"", "eth0", "eth0", "eth0", ""}},
		} {
			now, broken = step.now, step.err
			time.Sleep(DefaultPoll) // in the bubble: until the watcher looked and waits again
			synctest.Wait()
			if !slices.Equal(got, step.want) {
				t.Errorf("%s: reports %q, want %q", step.what, got, step.want)
			}
		}
		cancel()
		<-done
	})
}
