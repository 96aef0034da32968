/*
 * The move protocol of tiers/move as a model that Spin searches completely: every order in which the steps of the
 * processes below can follow each other, within the bounds. README.md here says how to run it and what it leaves out.
 *
 * For who does not know Promela: `proctype` is a process; `atomic { ... }` is one step, here one committed transaction or one
 * compare-and-set; `if :: a -> x :: b -> y fi` takes any branch whose guard holds (so a branch that stands there without a
 * guard may always happen), and waits while none does; `do ... od` is the same, over and over; `else` holds when no
 * other guard does; `(c -> a : b)` is a conditional expression. All variables begin at 0.
 *
 * The tenant's rows are sets of writes: bit n stands for write n, and also for the note of it. Two rooms: A, where the tenant
 * was when the move was asked for, and B.
 */
#define A 0
#define B 1

/* Bounds. Each write is done by a gateway of its own. */
#ifndef WRITES
#define WRITES 2
#endif
#ifndef GENERATIONS
#define GENERATIONS 2 /* how often the move is claimed, the first time and takeovers */
#endif
#ifndef RELEASED
#define RELEASED 2 /* and once more so often where the lease was released */
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 2 /* at a cut-over, before it is given up */
#endif
#ifndef ROLLBACKS
#define ROLLBACKS 1 /* how often an operator asks for the way back */
#endif
#ifndef LATES
#define LATES 1 /* statements that run when their sender has long given them up */
#endif

/* The invariants. With -DONLY=n the others are not looked at: so a test can tell which of them refutes a weakening. */
#define one_room 1             /* at most one room takes writes */
#define home_only 2            /* nobody is in a room that the tenant does not live in */
#define nothing_lost 3         /* every acknowledged write is in the room that the directory names */
#define equal_after_pass 4     /* under a pass's snapshot both rooms are the same */
#define abort_or_flip 5        /* never both */
#define epoch_once 6           /* a room is opened at an epoch that never was */
#define zombie_refused 7       /* a mover that was overtaken at an end changes nothing there */
#define fence_as_believed 8    /* the fence is at the epoch that the mover thinks */
#define drained_before_open 9  /* what is opened by who may flip has everything */
#define no_stale_refill 10     /* a cache never keeps an answer older than a change it was told of */
#define served_at_end 11       /* when the move has ended, the tenant's room is open */
#define nothing_left 12        /* when the move has ended, nothing of it is left */
#define home_open 13           /* what is flipped to is open, at the epoch that the directory then names */
#ifdef ONLY
#define ALWAYS(name, p) assert(name != ONLY || (p))
#else
#define ALWAYS(name, p) assert((p) || name == 0)
#endif

/* The states of states.ts, by the same names. */
mtype:state = { planned, preparing, copying, catching_up, verifying, cutting_over, watching, completing, completed,
                rolling_back, returning, clearing, rolled_back, aborting, aborted }
#define is_final(s) (s == completed || s == rolled_back || s == aborted)

/* ---- The control database: the move's row, the tenant's, and the directory (as the epoch that it names). */
mtype:state state = planned;
byte generation;     /* of the lease; whoever has this number has the lease */
bit leased;
byte attempts;
byte epoch_last = 2; /* the highest epoch given out: 1 is the room's before the move, 2 named the new one */
byte directory = 1;
byte epoch_b;        /* the epoch at which B was flipped to; 0 before */
#define room_of(e) ((e) == epoch_b)
#define home room_of(directory)

/* ---- The rooms. */
bit open[2]; byte epoch[2]; bit capture[2]; /* the fence */
byte rows[2]; byte notes[2];
byte inside[2]; /* transactions that hold the tenant's lock, shared */
bit copied;
/* tenancy.moves: the number that a mover's transactions join by. A run has one, and a new one after each attempt in doubt. */
byte book[2];
#ifdef NO_FENCE_COMMIT
bit held[2]; /* fenced by a transaction that is still open */
#endif

/* ---- What only the invariants look at. */
byte acked;          /* writes that a client has been told of */
byte top[2];         /* the latest number announced at an end */
bit gone_aborting;

byte writes;         /* begun so far */
byte updates;        /* those that change one common row; the others insert a row of their own */
bit row_lock;        /* of that common row */
byte rollbacks;
#ifdef LIVENESS
bit died;
#endif

/* ---- Messages that outlive who sent them: the flip of each mover, and one statement on a connection that was given up. */
#define SENT 1
#define MADE 2
#define REFUSED 3
byte flip_out[2]; byte flip_gen[2]; byte flip_epoch[2];
#define LATE_FENCE 1
#define LATE_OPEN 2
#define LATE_CAPTURE 3
byte late; byte late_number; byte late_epoch; bit late_end; byte lates;

byte gen[2];    /* what each mover thinks; 0 while it has no move */
byte number[2]; /* what it joins by */

/* A gateway may hold any answer that the directory ever gave, and no other: epoch 1, that of B, that of the way back. */
#define published(e) (e == 1 || e == epoch_b || e == directory)
#ifdef NO_FENCE_COMMIT
#define accepts(r) (open[r] && published(epoch[r]) && !held[r])
#else
#define accepts(r) (open[r] && published(epoch[r]))
#endif

inline check_rooms() {
  ALWAYS(one_room, !(accepts(A) && accepts(B)));
  ALWAYS(served_at_end, !is_final(state) || (open[home] && epoch[home] == directory))
}
inline check_rows() { ALWAYS(nothing_lost, (acked & ~rows[home]) == 0) }

/* ---- A gateway: one write of the tenant's. */
#ifdef GATEWAY_IGNORES_FENCE
#define may_enter(r) (epoch[r] != 0 && published(epoch[r]))
#else
#define may_enter(r) accepts(r)
#endif
#define may_enter_at(e) (may_enter(room_of(e)) && epoch[room_of(e)] == e)

#ifdef CACHES
byte cache[WRITES]; byte heard[WRITES]; byte answer[WRITES];
#endif

proctype Gateway(byte g) {
  byte n; bit r; bit noted; bit update;
end:
  do
    /* tenancy.enter: the shared lock, the fence, the epoch of the ticket. Then the statement, which fires the capture trigger. */
#ifdef CACHES
  :: atomic { cache[g] != 0 && may_enter_at(cache[g]) -> r = room_of(cache[g]);
#else
  :: atomic { may_enter(A) || may_enter(B) ->
      if :: may_enter(A) -> r = A :: may_enter(B) -> r = B fi;
#endif
      ALWAYS(home_only, r == home);
      inside[r]++;
      n = 1 << writes; writes++;
      if
      :: !row_lock -> row_lock = 1; update = 1; updates = updates | n
      :: true
      fi;
      noted = capture[r]
    }
    /* Commit, and the answer to the client. */
    atomic {
      ALWAYS(home_only, r == home);
      rows[r] = rows[r] | n;
      if :: noted -> notes[r] = notes[r] | n :: else fi;
      if :: update -> row_lock = 0 :: else fi;
      inside[r]--;
      acked = acked | n;
      check_rows();
      r = 0; n = 0; noted = 0; update = 0
    }
    break
#ifdef CACHES
    /* Refused: the directory is asked. The answer is on its way for a while. */
  :: atomic { answer[g] == 0 && directory != cache[g] && (cache[g] == 0 || !may_enter_at(cache[g])) -> answer[g] = directory }
  :: atomic { answer[g] != 0 ->
      if
#ifdef STALE_REFILL
      :: true -> cache[g] = answer[g]
#else
      :: answer[g] >= heard[g] -> cache[g] = answer[g]
      :: else
#endif
      fi;
      ALWAYS(no_stale_refill, cache[g] == 0 || cache[g] >= heard[g]);
      answer[g] = 0 }
    /* An invalidation arrives, sooner or later or never. */
  :: atomic { heard[g] < directory ->
      heard[g] = directory;
      if :: cache[g] < heard[g] -> cache[g] = 0 :: else fi }
#endif
  od
}

/* ---- What a mover does at an end. */
#ifdef NO_GENERATION_CHECK
#define JOINED(x) true
#else
#define JOINED(x) (book[x] == number[me])
#endif
inline join(x) {
  if
  :: !(JOINED(x)) -> goto overtaken
  :: else -> ALWAYS(zombie_refused, number[me] >= top[x])
  fi
}

/* Only while the lease is held, which the server of that end judges (whileHeld). Raises the number there, never lowers it. */
inline announce(x) {
  atomic {
    if
#ifndef ANNOUNCED_WITHOUT_LEASE
    :: generation != gen[me] -> goto overtaken
#endif
    :: book[x] > number[me] -> goto overtaken
    :: else ->
      book[x] = number[me];
      if :: top[x] < number[me] -> top[x] = number[me] :: else fi;
#ifdef NO_FENCE_COMMIT
      held[x] = 0; /* whose transaction it was is ended */
#endif
      check_rooms()
    fi
  }
}
inline forget(x) {
  atomic { if :: book[x] > number[me] -> goto overtaken :: else -> book[x] = 0 fi }
}

/* store.transition: one compare-and-set on state and lease. */
inline transition(to) {
  atomic {
    if
    :: state == st && generation == gen[me] ->
      state = to; st = to;
      if :: to == aborting -> gone_aborting = 1 :: else fi;
      check_rooms(); check_rows()
    :: else -> goto overtaken
    fi
  }
}
#ifdef ABORT_WITHOUT_CAS
#define abort_transition() atomic { state = aborting; st = aborting; gone_aborting = 1 }
#else
#define abort_transition() transition(aborting)
#endif

#define believed(x) (x == A -> 1 : epoch_b)
inline shut(x) { atomic { join(x); open[x] = 0; capture[x] = 0; check_rooms() } }
inline reopen(x) {
  atomic {
    join(x);
#ifdef NO_FENCE_COMMIT
    held[x] = 0;
#endif
    if :: !open[x] && epoch[x] == believed(x) -> open[x] = 1; capture[x] = 1 :: else fi;
    check_rooms()
  }
}
inline retreat() { reopen(src); shut(1 - src) }

/* The tenant's home is opened as soon as it has been told, whether or not the other end answers; but in no state in which a
   flip may be on its way. */
inline make_known() {
  if
  :: st == catching_up || st == aborting -> announce(A); reopen(A); announce(B)
  :: st == rolling_back || st == watching -> announce(B); reopen(B); announce(A)
  :: else -> announce(A); announce(B)
  fi
}

/* A pass: notes and rows in one snapshot at the source; applied and committed at the target; then those notes deleted. */
inline snapshot() { atomic { join(src); N = notes[src]; S = rows[src] } }
inline put() {
  atomic {
    join(1 - src);
    rows[1 - src] = (rows[1 - src] & ~(N & ~updates)) | (S & N & ~updates);
    if :: (N & updates) -> rows[1 - src] = (rows[1 - src] & ~updates) | (S & updates) :: else fi;
    dirty = dirty | N;
    check_rows()
  }
}
inline drop_notes() {
  atomic {
    join(src);
#ifdef NOTES_UP_TO_MAX
    notes[src] = notes[src] & ~(N | (N >> 1) | (N >> 2))
#else
    notes[src] = notes[src] & ~N
#endif
  }
}
inline apply_pass() {
#ifdef NOTES_DELETED_FIRST
  if :: N != 0 -> drop_notes(); put() :: else fi;
#else
  if :: N != 0 -> put(); drop_notes() :: else fi;
#endif
  N = 0; S = 0
}
inline pass() { snapshot(); apply_pass() }
/* The keys that were applied since the last whole verification; all updates have one key. */
#define dirty_keys ((dirty & ~updates) | ((dirty & updates) -> updates : 0))

#ifdef CAPTURE_WITHOUT_LOCK
#define nobody_inside(x) true
#else
#define nobody_inside(x) (inside[x] == 0)
#endif
/* Waits for the tenant's transactions, and for ever where need be: in the code it is tried again and again. */
inline set_capture(x, to) {
  atomic {
    (!(JOINED(x)) || nobody_inside(x));
    join(x);
    ALWAYS(fence_as_believed, epoch[x] == believed(x));
    capture[x] = to
  }
}
inline drop_all_notes(x) { atomic { join(x); notes[x] = 0 } }
inline clear_room(x) {
  shut(x);
  /* A database is dropped without a generation being asked for. */
  d_step { rows[x] = 0; notes[x] = 0; open[x] = 0; capture[x] = 0; epoch[x] = 0; if :: x == B -> copied = 0 :: else fi }
}
/* A statement whose answer is not waited for any longer. */
inline leave_running(what, x, at) {
  lates++; late = what; late_end = x; late_number = number[me]; late_epoch = at
}

inline open_target() {
  atomic {
    join(1 - src);
    /* A mover that was overtaken may open what was not drained, until this end has been told: it cannot flip any more, and
       nobody enters at an epoch that is not published. */
    ALWAYS(drained_before_open, rows[A] == rows[B] || generation != gen[me]);
    ALWAYS(epoch_once, e > epoch[A] && e > epoch[B] && e > directory);
    if
    :: epoch[1 - src] <= e -> epoch[1 - src] = e; open[1 - src] = 1;
#ifdef CAPTURE_AFTER_OPEN
      capture[1 - src] = 0
#else
      capture[1 - src] = (src == A)
#endif
    :: else
    fi;
    check_rooms()
  }
}

proctype Mover(bit me) {
  mtype:state st; /* the state that it believes the move is in */
  byte N; byte S; /* notes and rows of a snapshot */
  byte dirty; byte e;
  bit src;        /* the room that rows flow out of */
end_idle:
  /* store.claim: of a move whose lease was released, or has run out, which may be at any time. */
  atomic {
    !is_final(state) && generation < GENERATIONS + RELEASED && (!leased || generation < GENERATIONS) && (me == 0 || generation > 0) ->
    generation++; leased = 1;
    gen[me] = generation; number[me] = generation * 4; st = state
  }
  /* onTakeover: an attempt that somebody else began is undone. */
  if
  :: st == verifying || st == cutting_over -> transition(catching_up)
  :: st == returning -> transition(rolling_back)
  :: else
  fi;
  make_known();

again:
  src = (st == watching || st == rolling_back || st == returning);
  if
    /* An operator, or too many failures, at any edge before the flip. */
  :: st == planned || st == preparing || st == copying || st == catching_up || st == verifying || st == cutting_over ->
    transition(aborting)
#ifdef LIVENESS
  :: atomic { !died -> died = 1;
      if :: generation == gen[me] -> leased = 0 :: else fi;
      goto dead }
#endif
  :: st == planned -> transition(preparing)
  :: st == preparing ->
    announce(B);
    if
    :: true ->
      set_capture(A, 1);
      atomic { attempts = 0; transition(copying) }
    :: atomic { lates < LATES -> leave_running(LATE_CAPTURE, A, 1) }
      goto in_doubt
    fi
  :: st == copying ->
    if
    :: !copied ->
      atomic { join(A); S = rows[A] }
      atomic { join(B); if :: !copied -> rows[B] = S; copied = 1 :: else fi; S = 0; check_rows() }
    :: else
    fi;
    transition(catching_up)
  :: st == catching_up -> retreat(); pass(); transition(verifying)
  :: st == verifying -> goto verify
  :: st == cutting_over || st == returning -> goto cut_over
  :: st == watching -> goto watch
  :: st == completing ->
    announce(A); announce(B);
    set_capture(B, 0); drop_all_notes(B);
    clear_room(A);
    forget(A); forget(B);
    transition(completed)
  :: st == rolling_back ->
    if
    :: true -> retreat(); pass(); goto verify
    :: true -> transition(watching)
    fi
  :: st == clearing ->
    announce(A); announce(B);
#ifndef NOTES_LEFT_AT_HOME
    drop_all_notes(A);
#endif
    clear_room(B);
    forget(B); forget(A);
    transition(rolled_back)
  :: st == aborting ->
    retreat();
    set_capture(A, 0); drop_all_notes(A);
    clear_room(B);
    forget(B); forget(A);
    transition(aborted)
  :: is_final(st) -> goto overtaken
  fi;
  goto again;

watch:
  retreat();
#ifdef CAPTURE_AFTER_OPEN
  atomic { join(src); capture[src] = 1 }
#endif
watch_on:
  if
#ifdef LIVENESS
  :: notes[src] != 0 -> pass(); goto watch_on
#else
  :: true -> pass(); goto watch_on
#endif
  :: atomic { rollbacks < ROLLBACKS -> rollbacks++; attempts = 0; transition(rolling_back) }
  :: true -> transition(completing)
  fi;
  goto again;

verify:
  snapshot();
#ifdef NOTES_DELETED_FIRST
  if :: N != 0 -> drop_notes(); put() :: else fi;
#else
  if :: N != 0 -> put() :: else fi;
#endif
  atomic { /* every row of both sides is hashed */
    join(1 - src);
    ALWAYS(equal_after_pass, rows[1 - src] == S);
    if :: rows[1 - src] != S -> goto give_up :: else fi
  }
  if :: N != 0 -> drop_notes() :: else fi;
  N = 0; S = 0; dirty = 0;
  pass();
  if
  :: st == verifying -> transition(cutting_over)
  :: else -> transition(returning)
  fi;
  goto again;

cut_over:
  atomic { /* nextEpoch: written down before anything is opened at it */
    if :: !(state == st && generation == gen[me]) -> goto overtaken :: else fi;
    attempts++;
#ifdef EPOCH_REUSED
    if :: src == A -> epoch_last++; e = epoch_last :: else -> e = 1 fi
#else
    epoch_last++; e = epoch_last
#endif
  }
#ifdef DRAIN_BEFORE_FENCE
  snapshot();
#endif
  if
  :: atomic { !(JOINED(src)) || inside[src] == 0 ->
      join(src);
      ALWAYS(fence_as_believed, epoch[src] == believed(src));
#ifdef NO_FENCE_COMMIT
      held[src] = 1;
#else
      open[src] = 0; capture[src] = 0;
#endif
      check_rooms() }
  :: inside[src] != 0 -> goto postponed /* a transaction outlives the bound */
  :: atomic { lates < LATES -> leave_running(LATE_FENCE, src, believed(src)) }
    goto postponed_in_doubt
  fi;
#ifdef OPEN_BEFORE_DRAIN
  open_target();
#endif
#ifndef DRAIN_BEFORE_FENCE
  snapshot();
#endif
#ifdef NOTES_DELETED_FIRST
  apply_pass();
#else
  if :: N != 0 -> put() :: else fi;
#endif
  if
  :: goto postponed
  :: atomic { lates < LATES -> leave_running(LATE_OPEN, 1 - src, e) }
    goto postponed_in_doubt
#ifdef OPEN_BEFORE_DRAIN
  :: true
#else
  :: atomic { true -> open_target() }
#endif
  fi;
  atomic { /* what changed since the verification was hashed again, in the message that opened the room: looked at here only */
    ALWAYS(equal_after_pass, !(JOINED(A)) || !(JOINED(B)) || ((rows[A] ^ rows[B]) & dirty_keys) == 0);
    if :: JOINED(A) && JOINED(B) && ((rows[A] ^ rows[B]) & dirty_keys) != 0 -> goto give_up :: else fi
  }
  if
  :: goto postponed /* the deadline: no flip was sent */
  :: atomic { flip_out[me] = SENT; flip_gen[me] = gen[me]; flip_epoch[me] = e }
  fi;
  /* Beside the flip; or never, which keeps nobody from it. */
  if
  :: atomic { N != 0 && JOINED(src) -> drop_notes(); N = 0; S = 0 }
  :: atomic { N = 0; S = 0 }
  fi;

flipping:
  /* Neither the deadline nor an operator is listened to here. */
  if
  :: atomic { flip_out[me] == MADE -> flip_out[me] = 0;
      if :: generation != gen[me] -> goto overtaken :: else -> st = state fi }
#ifdef NO_FENCE_COMMIT
    atomic { join(src); if :: held[src] -> held[src] = 0; open[src] = 0; capture[src] = 0 :: else fi }
#endif
    e = 0; dirty = 0;
    goto again
    /* The answer was lost, the control database said "not yet", the second one was refused because the first was made. */
  :: atomic { flip_out[me] == MADE -> flip_out[me] = 0 }
    goto overtaken
  :: atomic { flip_out[me] == REFUSED -> flip_out[me] = 0; goto overtaken }
    /* An error of the server's own: this one changed nothing; but one sent before it may still be on its way. */
  :: atomic { flip_out[me] == SENT ->
      if :: flip_out[me] = 0; flip_gen[me] = 0; flip_epoch[me] = 0 :: true fi;
      e = 0; dirty = 0;
      if :: attempts < ATTEMPTS -> goto again :: else fi }
    goto give_up
#ifdef DEADLINE_OVER_FLIP
  :: true -> retreat(); goto postponed
#endif
  fi;

postponed:
  e = 0; dirty = 0; N = 0; S = 0;
  if
  :: attempts < ATTEMPTS ->
    if :: src == A -> transition(catching_up) :: else -> transition(rolling_back) fi
  :: else -> goto give_up
  fi;
  goto again;

give_up:
  e = 0; dirty = 0; N = 0; S = 0;
  if
  :: src == A -> abort_transition()
  :: else -> transition(watching)
  fi;
  goto again;

postponed_in_doubt:
  e = 0; dirty = 0; N = 0; S = 0;
  if
  :: attempts < ATTEMPTS ->
    if :: src == A -> transition(catching_up) :: else -> transition(rolling_back) fi
  :: src == A && attempts >= ATTEMPTS -> transition(aborting)
  :: else -> transition(watching)
  fi;
in_doubt:
  /* What was left running may still run: from here on it is shut out as a mover that was overtaken is. */
#ifndef SAME_NUMBER_AGAIN
  number[me]++;
  make_known();
#endif
  goto again;

overtaken:
  atomic {
    if :: generation == gen[me] -> leased = 0 :: else fi;
    gen[me] = 0; number[me] = 0; N = 0; S = 0; dirty = 0; e = 0; src = 0; st = 0
  }
  goto end_idle;

#ifdef LIVENESS
dead:
  false
#endif
}

/* ---- The servers, as far as they do what was sent to them a while ago. */
#ifdef FLIP_BY_STATE_ALONE
#define flip_is_current(m) true
#else
#ifdef FLIP_OF_ANY_ATTEMPT
#define flip_is_current(m) (flip_gen[m] == generation)
#else
#define flip_is_current(m) (flip_gen[m] == generation && flip_epoch[m] == epoch_last)
#endif
#endif
#ifdef EPOCH_REUSED
#define rises(m) true
#undef flip_is_current
#define flip_is_current(m) (flip_gen[m] == generation)
#else
#define rises(m) (directory < flip_epoch[m])
#endif
inline execute_flip(m) {
  if
  :: flip_is_current(m) && rises(m) && state == (epoch_b == 0 -> cutting_over : returning) ->
    directory = flip_epoch[m];
    if :: epoch_b == 0 -> epoch_b = directory; state = watching :: else -> state = clearing fi;
    ALWAYS(abort_or_flip, !gone_aborting);
    ALWAYS(home_only, inside[1 - home] == 0);
    ALWAYS(home_open, open[home] && epoch[home] == directory);
    check_rooms(); check_rows();
    flip_out[m] = MADE
  :: else -> flip_out[m] = REFUSED
  fi;
  flip_gen[m] = 0; flip_epoch[m] = 0
}

proctype Servers() {
end:
  do
  :: atomic { flip_out[0] == SENT -> execute_flip(0) }
  :: atomic { flip_out[1] == SENT -> execute_flip(1) }
  :: atomic { late != 0 && (late == LATE_OPEN || inside[late_end] == 0) ->
      if
      :: late_number != book[late_end]
      :: late_number == book[late_end] && late == LATE_FENCE && late_epoch == epoch[late_end] ->
        open[late_end] = 0; capture[late_end] = 0
      :: late_number == book[late_end] && late == LATE_CAPTURE && late_epoch == epoch[late_end] ->
        capture[late_end] = 1
      :: late_number == book[late_end] && late == LATE_OPEN && late_epoch >= epoch[late_end] ->
        epoch[late_end] = late_epoch; open[late_end] = 1; capture[late_end] = (late_end == B)
      :: else
      fi;
      late = 0; late_number = 0; late_epoch = 0; late_end = 0;
      check_rooms() }
  od
}

/* ---- When the move has ended and nobody who knew of it is still at work. */
proctype Auditor() {
end:
  atomic {
    is_final(state) && gen[0] == 0 && gen[1] == 0 && late == 0 && flip_out[0] == 0 && flip_out[1] == 0 ->
    ALWAYS(nothing_left, book[A] == 0 && book[B] == 0 && notes[A] == 0 && notes[B] == 0 &&
      !capture[A] && !capture[B] && rows[1 - home] == 0 && epoch[1 - home] == 0)
  }
}

#ifdef LIVENESS
ltl ends { <> is_final(state) }
#endif

init {
  byte i;
  atomic {
    open[A] = 1; epoch[A] = 1;
    do
    :: i < WRITES ->
#ifdef CACHES
      cache[i] = 1; heard[i] = 1;
#endif
      run Gateway(i); i++
    :: else -> break
    od;
    i = 0;
    run Mover(0); run Mover(1); run Servers(); run Auditor()
  }
}
