package identity

import "strings"

// Symbol is one of the signs that two people compare: a picture where it can be
// drawn, its name where it is read aloud.
type Symbol struct {
	Emoji string
	Name  string // one English word
}

// String returns the picture and its name.
func (s Symbol) String() string { return s.Emoji + " " + s.Name }

// symbols are 64, so that each stands for 6 bits. Every one is a single code point
// that is two columns wide and drawn as a picture without a variation selector;
// no two look or sound alike. Their order is part of the protocol.
var symbols = func() (out [64]Symbol) {
	for i, pair := range strings.Split(symbolTable, ",") {
		emoji, name, _ := strings.Cut(strings.TrimSpace(pair), " ")
		out[i] = Symbol{Emoji: emoji, Name: name}
	}
	return out
}()

const symbolTable = `🐶 dog, 🐱 cat, 🐴 horse, 🐷 pig, 🐘 elephant, 🐰 rabbit, 🐧 penguin, 🐢 turtle,
🐟 fish, 🐙 octopus, 🦋 butterfly, 🐝 bee, 🐌 snail, 🦀 crab, 🐍 snake, 🐸 frog,
🌷 tulip, 🌳 tree, 🌵 cactus, 🍄 mushroom, 🌍 globe, 🌙 moon, 🌈 rainbow, 🔥 fire,
🍌 banana, 🍎 apple, 🍓 strawberry, 🌽 corn, 🍕 pizza, 🎂 cake, 🍋 lemon, 🍇 grapes,
🥕 carrot, 🍞 bread, 🧀 cheese, 🥚 egg, 🤖 robot, 🎩 hat, 👓 glasses, 🔧 wrench,
🎁 gift, 💡 lamp, 📕 book, 🔑 key, 🎈 balloon, 🔨 hammer, 📞 telephone, ⏰ clock,
🚗 car, 🚲 bicycle, 🚂 train, 🚀 rocket, 🏆 trophy, ⚽ football, 🎸 guitar, 🎺 trumpet,
🔔 bell, ⚓ anchor, 🎧 headphones, 📌 pin, 🏠 house, ⛵ boat, ☔ umbrella, 🥁 drum`
