package sdk

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestFireNeverCallsEarly(t *testing.T) {
	for _, ahead := range []time.Duration{0, 200 * time.Microsecond, 5 * time.Millisecond, 50 * time.Millisecond} {
		at := time.Now().Add(ahead)
		s := NewStart(at)
		fired := 0
		if err := s.Fire(t.Context(), func() error { fired++; return nil }); err != nil {
			t.Fatalf("%v ahead: %v", ahead, err)
		}
		shot, ok := s.Shot()
		if !ok || fired != 1 {
			t.Fatalf("%v ahead: fired %d times, shot %v", ahead, fired, ok)
		}
		if !shot.Asked.Equal(at) {
			t.Errorf("%v ahead: asked %v, want %v", ahead, shot.Asked, at)
		}
		if shot.Called.Before(shot.Asked) || shot.Returned.Before(shot.Called) {
			t.Errorf("%v ahead: asked %v, called %v, returned %v are out of order", ahead, shot.Asked, shot.Called, shot.Returned)
		}
		// The shot is told on the clock that the instant was given on.
		if now := time.Now(); shot.Returned.After(now.Add(time.Millisecond)) {
			t.Errorf("%v ahead: returned %v is later than now, %v", ahead, shot.Returned, now)
		}
	}
}

func TestFireSaysThatTheInstantWasPast(t *testing.T) {
	s := NewStart(time.Now().Add(-time.Hour))
	if err := s.Fire(t.Context(), func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	if shot, _ := s.Shot(); !shot.Late || shot.Called.Sub(shot.Asked) < time.Hour {
		t.Errorf("shot %+v does not say that it was an hour late", shot)
	}
}

// A start that is asked for in good time is not late. A PC that is busy may make it so: then
// it is asked for earlier, twice as early each time.
func TestFireInGoodTimeIsNotLate(t *testing.T) {
	for ahead := 30 * time.Millisecond; ; ahead *= 2 {
		s := NewStart(time.Now().Add(ahead))
		if err := s.Fire(t.Context(), func() error { return nil }); err != nil {
			t.Fatal(err)
		}
		shot, _ := s.Shot()
		if !shot.Late {
			return
		}
		if ahead > 10*time.Second {
			t.Fatalf("shot %+v says that it was late when asked %v before", shot, ahead)
		}
	}
}

// A device that answers no start command begins somewhere in the time that it is given.
func TestFireOfADeviceThatDoesNotAnswer(t *testing.T) {
	for _, within := range []time.Duration{-time.Hour, 0, time.Nanosecond, time.Hour} {
		s := NewStart(time.Time{})
		s.Within(within)
		before := time.Now()
		if err := s.Fire(t.Context(), func() error { return nil }); err != nil {
			t.Fatal(err)
		}
		shot, _ := s.Shot()
		if took := shot.Returned.Sub(shot.Called); took < within || shot.Returned.After(time.Now().Add(max(within, 0))) || shot.Called.Before(before.Add(-time.Millisecond)) || shot.Late {
			t.Errorf("%v: from %v to %v", within, shot.Called, shot.Returned)
		}
	}
}

func TestFireWithoutAnInstantFiresAtOnce(t *testing.T) {
	s := NewStart(time.Time{})
	if err := s.Fire(t.Context(), func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	if shot, _ := s.Shot(); shot.Late || shot.Asked.IsZero() || shot.Called.Before(shot.Asked) {
		t.Errorf("shot %+v", shot)
	}
}

func TestFireGivesUpWithItsContext(t *testing.T) {
	cause := errors.New("stopped by a test")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(10*time.Millisecond, func() { cancel(cause) })
	s := NewStart(time.Now().Add(time.Hour))
	err := s.Fire(ctx, func() error { t.Error("fired an hour early"); return nil })
	if !errors.Is(err, cause) {
		t.Errorf("got %v, want the cause", err)
	}
	if _, fired := s.Shot(); fired {
		t.Error("the shot says that it was fired")
	}
}

func TestFirePassesOnTheDevicesError(t *testing.T) {
	broken := errors.New("device said no")
	told := 0
	s := NewStart(time.Time{})
	s.tell = func(Shot) { told++ }
	if err := s.Fire(t.Context(), func() error { return broken }); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	if told != 0 {
		t.Error("a start that failed was told as a start")
	}
	if err := s.Fire(t.Context(), func() error { return nil }); err == nil {
		t.Error("a second Fire was let through")
	}
}
