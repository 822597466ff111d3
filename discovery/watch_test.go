package discovery

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestWatcherReportsEachChangeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		eth := iface(2, "eth0", lan, "10.0.0.1/24")
		var mu sync.Mutex // guards the next three
		var now []Interface
		var broken error
		var got []string
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			list := func() ([]Interface, error) {
				mu.Lock()
				defer mu.Unlock()
				return now, broken
			}
			Watcher{List: list}.Run(ctx, func(usable []Interface) {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, names(usable))
			})
		}()
		time.Sleep(DefaultPoll / 2) // so that we change things while the watcher waits
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
			{"cable pulled or plugged", []Interface{iface(9, "eth0", lan|net.FlagRunning, "10.0.0.2/24")}, nil, []string{"", "eth0", "eth0", "eth0", "eth0"}},
			{"adapter pulled", nil, nil, []string{"", "eth0", "eth0", "eth0", "eth0", ""}},
		} {
			mu.Lock()
			now, broken = step.now, step.err
			mu.Unlock()
			time.Sleep(DefaultPoll) // in the bubble: until the watcher looked and waits again
			synctest.Wait()
			mu.Lock()
			if !slices.Equal(got, step.want) {
				t.Errorf("%s: reports %q, want %q", step.what, got, step.want)
			}
			mu.Unlock()
		}
		cancel()
		<-done
	})
}
