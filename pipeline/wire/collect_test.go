package wire_test

import (
	"slices"
	"testing"

	"tsrun/pipeline/wire"
)

// TestSeals: only a master that has the marks of a recipe makes seals that hold, and
// those of one session hold in no other.
func TestSeals(t *testing.T) {
	marks := map[string]string{"acquire": "a", "nodes.bob": "b"}
	seal := func(marks map[string]string, token string) *wire.Collect {
		c := &wire.Collect{Seals: map[string]string{}}
		for section, mark := range marks {
			c.Seals[section] = wire.Seal(mark, section, "bob", "instance", token)
		}
		return c
	}
	for _, c := range []struct {
		name  string
		offer *wire.Collect
		want  []string
	}{
		{"the same recipe", seal(marks, "token"), nil},
		{"another session", seal(marks, "other"), []string{"acquire", "nodes.bob"}},
		{"another duration", seal(map[string]string{"acquire": "x", "nodes.bob": "b"}, "token"), []string{"acquire"}},
		{"one section more", seal(map[string]string{"acquire": "a", "nodes.bob": "b", "simulate": "s"}, "token"), []string{"simulate"}},
		{"nothing", &wire.Collect{}, []string{"acquire", "nodes.bob"}},
	} {
		if got := c.offer.UnlikeSeals(marks, "bob", "instance", "token"); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if got := (&wire.Collect{}).UnlikeSeals(nil, "bob", "instance", "token"); len(got) == 0 {
		t.Error("a recording without marks is given to anybody")
	}
}
