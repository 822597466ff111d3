package chattest

import "math/rand/v2"

// Schedule returns what the schedule of a seed is made of: mostly a handful of
// devices, now and then dozens, rarely hundreds.
func Schedule(seed uint64) Config {
	rng := rand.New(rand.NewPCG(seed, 0x5c4ed))
	cfg := Config{Seed: seed, Posts: 20 + rng.IntN(80), Liar: rng.IntN(4) == 0}
	switch n := rng.IntN(1000); {
	case n < 930:
		cfg.Devices = 2 + rng.IntN(10)
	case n < 999:
		cfg.Devices = 12 + rng.IntN(48)
	default:
		cfg.Devices = 60 + rng.IntN(941)
	}
	return cfg
}
