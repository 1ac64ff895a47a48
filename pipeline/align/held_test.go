package align

import (
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// What is held is the same in memory, in a file, and where there is no file or
// it takes no more.
func TestHeld(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	rapid.Check(t, func(t *rapid.T) {
		h := held{most: 5000, few: rapid.IntRange(0, 3000).Draw(t, "few")}
		defer h.release()
		var want []uint64
		next := uint64(1)
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				first := rapid.IntRange(0, len(want)).Draw(t, "first")
				h.keep(first)
				want = slices.Clone(want[first:])
			case 1:
				h.room(rapid.IntRange(0, 2*h.most).Draw(t, "room"))
			case 2:
				breakFile(&h)
			default:
				more := make([]uint64, min(h.most-len(want), rapid.IntRange(0, 1000).Draw(t, "more")))
				for i := range more {
					more[i], next = next, next*3
				}
				h.append(more)
				want = append(want, more...)
			}
			if !slices.Equal(h.tags, want) {
				t.Fatalf("%d tags are held, want %d, or others", len(h.tags), len(want))
			}
			if runtime.GOOS == "linux" && len(want) > h.few && h.file == nil && !h.failed {
				t.Fatalf("%d tags are in memory", len(want))
			}
		}
	})
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("files %v are left", left)
	}
}

func TestHeldWithoutAFile(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none"))
	h := held{most: 100, few: 1}
	defer h.release()
	h.append([]uint64{1, 2, 3})
	if h.append([]uint64{4}); h.file != nil || !slices.Equal(h.tags, []uint64{1, 2, 3, 4}) {
		t.Errorf("%v are held in the file %v", h.tags, h.file)
	}
}

// A file that takes no more while tags are moved within it loses none of them.
func TestHeldMovesWhatItKeeps(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, broken := range []bool{false, true} {
		tags := make([]uint64, 100_000)
		for i := range tags {
			tags[i] = uint64(i)
		}
		for _, first := range []int{0, 1, 10, 40_000, 99_999, 100_000} {
			h := held{most: len(tags), few: 1}
			h.append(tags)
			if broken {
				breakFile(&h)
			}
			if h.keep(first); !slices.Equal(h.tags, tags[first:]) {
				t.Errorf("broken %v, from %d on: %d tags are held, want %d, or others", broken, first, len(h.tags), len(tags)-first)
			}
			h.release()
		}
	}
}
