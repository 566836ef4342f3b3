/*
 * Expiry, destroy and forgetting: classic rounds and quorum reads on values with an end, horizon, bound and floor.
 *
 * Each operation makes one attempt: that a later attempt looks for its own traces is agreement.pml's matter.
 *
 * Time. S is 1. `time` is what the slowest clock says; each time somebody looks at a clock, it says `time` or
 * `time + 1`: two clocks differ by S at most, and need not even run steadily. An operation lives less than S, so `time`
 * goes up at most once during its life.
 * Values end at 1 or at 3. So at 0 all are alive, at 1 some clocks and at 2 all clocks say that the one is over, and it
 * can be forgotten while the other is still alive for some; at LAST_TIME, 3, all have ended for everybody, and what comes
 * later is like it.
 *
 * A value is named by the ballot of the `set` that made it; touches and identity rounds keep that name.
 *
 * BALLOTS: operations other than quorum reads. Three are a write, what ends it, and whoever might still see it; a fourth
 * would mean some hundred times the states. With quorum reads, which end and see values too, it is two.
 * UNDER_WAY: operations at a time, that is proposers. As those that gave up leave their messages behind, more than two
 * take part in what happens.
 */
#ifndef BALLOTS
#define BALLOTS 4
#endif
#ifndef UNDER_WAY
#define UNDER_WAY 2
#endif
#define S 1

/* Operations that are called; a defect is found sooner among those that it takes. */
#ifndef KINDS
#define KINDS 15
#endif
#define LAST_TIME 3
#define SHORT 1
#define LONG 3

/* Operations: `set` and `touch` come with an end. `observe` is what settles and reads by a classic round. */
#define NONE 0
#define SET 1
#define TOUCH 2
#define DESTROY 3
#define OBSERVE 4

typedef Attempt {
  byte phase;
  byte operation;       /* until it has proposed */
  bit isOld;            /* whether `time` went up since it began */
  byte bound;           /* of its prepare: the end that the operation may write */
  byte horizon;         /* of its accept */
  byte until;           /* of its value; 0 in a tombstone */
  byte content;         /* ballot of the `set` whose value it is; 0: a tombstone */
  bit isSent;           /* whether its accept was sent */
  bit isCommitted;      /* whether its commit was sent */
  byte toldBefore;      /* ghosts: `told`, `ended` and `sets` when the operation was called */
  byte endedBefore;
  byte setsBefore;
};

Attempt attempt[BALLOTS + 1];

byte time;
byte underWay;
byte earliest;          /* ghost: the earliest end ever proposed; 0 once a destroy was called */
byte told;              /* ghost: values that some caller was told of, and that have not ended */
byte ended;             /* ghost: values that nobody who asks from now on may see */
#ifdef READS
bit isReading;
bit isReadOld;
byte toldBeforeRead;    /* ghosts */
byte endedBeforeRead;
#endif

#define CLEAR_MORE \
  now.horizon = now.content = now.until = now.isVisible = now.isExpired = now.sets = 0
#define REDUCE reduce()
/* Whether it matters who accepts this ballot: as long as its proposer waits for it. */
#define WATCHED(b) (attempt[b].phase == PROPOSED)
#include "acceptor.pml"

scratch horizon;
scratch content;
scratch until;
scratch isVisible;
scratch isExpired;
scratch sets;

/*
 * P6: no resurrection, no acknowledged write lost, no stale answer. Whoever is told of value `answer` (0: there is none)
 * puts an end to all others that somebody had been told of before the question; whoever is told that a destroy is done,
 * to all whose accept had been sent before the destroy was called. None of them is seen by anybody who asks later.
 */
inline tell(answer, before, barred, sealed) {
  if
  :: answer != 0 ->
    CLAIM(!HAS(barred, answer), "broken: a value is seen that had ended for those who asked before\n");
    ended = ended | (before & ~BIT(answer)) | sealed;
    told = (told | BIT(answer)) & ~ended
  :: else ->
    ended = ended | before | sealed;
    told = told & ~ended
  fi
}

/* P7: while no destroy has been called, and no end that was proposed has come by anybody's clock, "there is none" is not
   said after somebody was told of a value. */
inline check_nothing_lost(before) {
  CLAIM(before == 0 || earliest <= time + S, "broken: a value is lost that lives by all clocks\n")
}

/*
 * Clears what no step can tell from zero: ends, bounds and horizons that have passed by all clocks (their `+ S` too, where
 * that is asked for); accepts that nobody holds, has reported or can accept any more, and prepares that nobody can
 * promise to; names of values that nobody can see any more. Each such state does the same as the one it is turned into.
 */
c_code {
#define PASSED(end) ((end) + 1 <= now.time)
  static void reduce(void) {
    int a, b, alive = 0;
    for (b = 1; b <= BALLOTS; b++) {
      struct Attempt *t = &now.attempt[b];
      if (PASSED(t->bound)) t->bound = 0;
      if (PASSED(t->horizon)) t->horizon = 0;
      if (t->until <= now.time) t->until = 0;
    }
    for (a = 0; a < ACCEPTORS; a++) {
      struct Acceptor *c = &now.acceptors[a];
      if (PASSED(c->horizon)) c->horizon = 0;
      for (b = 1; b <= BALLOTS; b++) if (PASSED(HORIZON_OF(c->answer[b]))) c->answer[b] &= ~48;
#ifdef READS
      if (PASSED(HORIZON_OF(c->reading))) c->reading &= ~48;
#endif
    }
    for (b = 1; b <= BALLOTS; b++) {
      struct Attempt *t = &now.attempt[b];
      int matters = t->phase != OVER;
      for (a = 0; a < ACCEPTORS; a++) {
        struct Acceptor *c = &now.acceptors[a];
        int other;
        if (c->value == b || (c->holds ? b >= c->promised : b > c->floor)) matters = 1;
        for (other = 1; other <= BALLOTS; other++) if (VALUE_OF(c->answer[other]) == b) matters = 1;
#ifdef READS
        if (VALUE_OF(c->reading) == b) matters = 1;
#endif
      }
      if (!matters) t->isSent = t->isCommitted = t->bound = t->horizon = t->until = t->content = 0;
      if (t->content != 0 && t->until == 0) t->content = b;
      if (t->content != 0 && t->until != 0) alive |= BIT(t->content);
    }
    now.told &= alive;
    now.ended &= alive;
    for (b = 1; b <= BALLOTS; b++) {
      now.attempt[b].toldBefore &= alive;
      now.attempt[b].endedBefore &= alive;
      now.attempt[b].setsBefore &= alive;
    }
#ifdef READS
    now.toldBeforeRead &= alive;
    now.endedBeforeRead &= alive;
#endif
    if (now.earliest <= now.time + 1) now.earliest = 0;
  }
}

inline start(b, kind, end) {
  if
  :: kind == SET -> printf("operation %d: set until %d, prepare %d\n", b, end, b)
  :: kind == TOUCH -> printf("operation %d: touch until %d, prepare %d\n", b, end, b)
  :: kind == DESTROY -> printf("operation %d: destroy, prepare %d\n", b, b)
  :: kind == OBSERVE -> printf("operation %d: observe, prepare %d\n", b, b)
  fi;
  attempt[b].phase = PREPARING;
  attempt[b].operation = kind;
  attempt[b].bound = end;
  attempt[b].toldBefore = told;
  attempt[b].endedBefore = ended;
  if
  :: kind == DESTROY ->
    earliest = 0;
    sets = 0;
    for (k : 1 .. BALLOTS) {
      if
      :: attempt[k].isSent && attempt[k].content == k -> sets = sets | BIT(k)
      :: else
      fi
    }
    attempt[b].setsBefore = sets
  :: else
  fi;
  underWay++;
  NORMALISE
}

inline end_attempt(b) {
  attempt[b].phase = OVER;
  attempt[b].operation = NONE;
  attempt[b].isOld = 0;
  acceptors[0].accepted = acceptors[0].accepted & ~BIT(b);
  acceptors[1].accepted = acceptors[1].accepted & ~BIT(b);
  acceptors[2].accepted = acceptors[2].accepted & ~BIT(b);
  attempt[b].toldBefore = 0;
  attempt[b].endedBefore = 0;
  attempt[b].setsBefore = 0;
  underWay--
}

/* No quorum if no accept was sent, else unknown. What was sent stays sent. */
inline give_up(b) {
  printf("operation %d: gives up\n", b);
  close_first_phase(b);
  end_attempt(b);
  NORMALISE
}

#define IS_BOUND_ALIVE(horizon, clock) (horizon > 0 && horizon + S > clock)

/* Phase 1 is complete, by the promises of i and j; the proposer's clock says `clock`. */
inline propose(b, i, j, clock) {
  /* P2: one value a ballot. */
  CLAIM(!attempt[b].isSent, "broken: a second value at one ballot\n");
  found = PICKED(PROMISED(b, i), PROMISED(b, j));
  isCertain = PICKED_IS_CHOSEN(PROMISED(b, i), PROMISED(b, j));
  horizon = MAX(HORIZON_OF(PROMISED(b, i)), HORIZON_OF(PROMISED(b, j)));
  content = attempt[found].content;
  until = attempt[found].until;
  isVisible = (content != 0 && until > clock);
  isExpired = (content != 0 && until <= clock);
  close_first_phase(b);
  /* E1: what has expired becomes a tombstone by any round that finds it. */
  isWrite = isExpired;
  if
  :: isExpired -> content = 0; until = 0
  :: else
  fi;
  if
  :: attempt[b].operation == SET || (attempt[b].operation == TOUCH && isVisible) ->
    if
    :: attempt[b].bound > clock ->
      content = (attempt[b].operation == SET -> b : content);
      until = attempt[b].bound;
      isWrite = 1
    :: else ->
      /* Over before it begins. */
      isWrite = isWrite || isVisible;
      content = 0;
      until = 0
    fi
  :: attempt[b].operation == DESTROY ->
    isWrite = isWrite || isVisible;
    content = 0;
    until = 0
  :: else
  fi;
  printf("operation %d, clock %d: finds %d (by #%d and #%d), horizon %d", b, clock, found, i + 1, j + 1, horizon);
  if
  /* E2: an answer without a change needs no second phase if what it rests on is certain: what is found is chosen and not
     expired, or nothing is found and no promise's bound is alive. E3: a destroy always leaves a tombstone. */
  :: !isWrite && attempt[b].operation != DESTROY &&
#ifdef BOUND_NOT_ASKED
     (found != 0 -> isCertain : true) ->
#else
     (found != 0 -> isCertain : !IS_BOUND_ALIVE(horizon, clock)) ->
#endif
    printf(": answered %d\n", content);
    if
    :: content == 0 -> check_nothing_lost(attempt[b].toldBefore)
    :: else
    fi;
    tell(content, attempt[b].toldBefore, attempt[b].endedBefore, attempt[b].setsBefore);
    end_attempt(b)
  :: else ->
    attempt[b].phase = PROPOSED;
    attempt[b].operation = NONE;
    attempt[b].isSent = 1;
    attempt[b].content = content;
    attempt[b].until = until;
    earliest = (until < earliest -> until : earliest);
    /* E4: the horizon is the latest of all promises, of the bound and of the new end; a tombstone keeps it. */
    attempt[b].horizon = MAX(attempt[b].bound, MAX(until, horizon));
#ifdef TOMBSTONE_WITHOUT_HORIZON
    attempt[b].horizon = (content == 0 -> 0 : attempt[b].horizon);
#endif
    printf(", accept %d: value %d until %d, horizon %d\n", b, content, until, attempt[b].horizon)
  fi;
  NORMALISE
}

inline complete(b) {
  printf("operation %d: %d is chosen: answered %d\n", b, b, attempt[b].content);
  attempt[b].isCommitted = 1;
  if
  :: attempt[b].content == 0 -> check_nothing_lost(attempt[b].toldBefore)
  :: else
  fi;
  tell(attempt[b].content, attempt[b].toldBefore, attempt[b].endedBefore, attempt[b].setsBefore);
  end_attempt(b);
  NORMALISE
}

/* F1: a record goes when it is known to be chosen, or a bare promise, and F2: its horizon and 2 S have passed by the
   acceptor's clock; the latest that it can say is time + 1. */
#ifdef FORGOTTEN_EARLY
#define MAY_FORGET_AT(a) (acceptors[a].horizon == 0 || acceptors[a].horizon + S <= time + 1)
#else
#define MAY_FORGET_AT(a) (acceptors[a].horizon == 0 || acceptors[a].horizon + 2 * S <= time + 1)
#endif
#ifdef BARE_PROMISE_FORGOTTEN
#define MAY_FORGET(a) \
  (acceptors[a].holds && (acceptors[a].value == 0 || (acceptors[a].committed && MAY_FORGET_AT(a))))
#else
#define MAY_FORGET(a) \
  (acceptors[a].holds && (acceptors[a].value == 0 || acceptors[a].committed) && MAY_FORGET_AT(a))
#endif

inline forget(a) {
  /* F3: forgetting raises the floor to what the record had promised. */
#ifndef NO_FLOOR
  acceptors[a].floor = MAX(acceptors[a].floor, acceptors[a].promised);
#endif
  printf("acceptor #%d: forgets, floor %d\n", a + 1, acceptors[a].floor);
  acceptors[a].holds = 0;
  acceptors[a].promised = 0;
  acceptors[a].value = 0;
  acceptors[a].committed = 0;
  acceptors[a].horizon = 0;
  NORMALISE
}

#ifdef READS
inline end_read() {
  isReading = 0;
  isReadOld = 0;
  toldBeforeRead = 0;
  endedBeforeRead = 0;
  acceptors[0].reading = 0;
  acceptors[1].reading = 0;
  acceptors[2].reading = 0;
  NORMALISE
}

inline answer_read(a) {
  printf("acceptor #%d: answers the read, holds %d, horizon %d\n", a + 1, acceptors[a].value, acceptors[a].horizon);
  acceptors[a].reading = REPORT(a);
  NORMALISE
}

/* R13: a quorum read is answered if what it finds is certain to be chosen, and E5: not expired, or nobody of a majority
   holds anything and no bound is alive; else it ends without an answer (an `observe` follows: an operation like any
   other). */
inline finish_read(i, j, clock) {
  found = PICKED(acceptors[i].reading, acceptors[j].reading);
  content = (attempt[found].until > clock -> attempt[found].content : 0);
  printf("read, clock %d: finds %d (by #%d and #%d): answered %d\n", clock, found, i + 1, j + 1, content);
  if
  :: content == 0 -> check_nothing_lost(toldBeforeRead)
  :: else
  fi;
  tell(content, toldBeforeRead, endedBeforeRead, 0);
  end_read()
}

#define READ_FOUND(i, j) PICKED(acceptors[i].reading, acceptors[j].reading)
#ifdef EXPIRED_WITHOUT_TOMBSTONE
#define IS_OVER(v, clock) (attempt[v].content != 0 && attempt[v].until <= clock && attempt[v].until + S > clock)
#else
#define IS_OVER(v, clock) (attempt[v].content != 0 && attempt[v].until <= clock)
#endif
#ifdef BOUND_NOT_ASKED
#define READ_BOUND_ALIVE(i, j, clock) false
#else
#define READ_BOUND_ALIVE(i, j, clock) \
  IS_BOUND_ALIVE(MAX(HORIZON_OF(acceptors[i].reading), HORIZON_OF(acceptors[j].reading)), clock)
#endif
#define IS_SETTLED(i, j, clock) \
  (READ_FOUND(i, j) != 0 -> \
    PICKED_IS_CHOSEN(acceptors[i].reading, acceptors[j].reading) && !IS_OVER(READ_FOUND(i, j), clock) : \
    !READ_BOUND_ALIVE(i, j, clock))
#define FINISH_READ(b, i, j, clock) \
  :: d_step { \
       acceptors[i].reading != 0 && acceptors[j].reading != 0 && IS_SETTLED(i, j, clock) -> finish_read(i, j, clock) }

proctype reader() {
end:
  do
  :: d_step { !isReading -> printf("read\n"); isReading = 1; toldBeforeRead = told; endedBeforeRead = ended }
  FOR_EACH_QUORUM(FINISH_READ, 0, time)
  FOR_EACH_QUORUM(FINISH_READ, 0, (time + 1))
  :: d_step { isReading -> end_read() }
  od
}
#endif

#define PROMISE(b) :: d_step { MAY_PROMISE(me, b) -> promise(me, b) }
#define ACCEPT(b) :: d_step { MAY_ACCEPT(me, b) -> accept(me, b); NORMALISE }
#define LEARN(b) :: d_step { MAY_LEARN(me, b) -> learn(me, b) }

proctype acceptor(byte me) {
end:
  do
  FOR_EACH_BALLOT(PROMISE)
  FOR_EACH_BALLOT(ACCEPT)
  FOR_EACH_BALLOT(LEARN)
  :: d_step { MAY_FORGET(me) -> forget(me) }
#ifdef READS
  :: d_step { isReading && acceptors[me].reading == 0 -> answer_read(me) }
#endif
  od
}

#define IS_CALLED(kind) HAS(KINDS, kind)
#define MAY_START(b) attempt[b].phase == UNUSED && underWay < UNDER_WAY
#define START(b) \
  :: d_step { IS_CALLED(SET) && MAY_START(b) && time < SHORT -> start(b, SET, SHORT) } \
  :: d_step { IS_CALLED(SET) && MAY_START(b) && time < LONG -> start(b, SET, LONG) } \
  :: d_step { IS_CALLED(TOUCH) && MAY_START(b) && time < SHORT -> start(b, TOUCH, SHORT) } \
  :: d_step { IS_CALLED(TOUCH) && MAY_START(b) && time < LONG -> start(b, TOUCH, LONG) } \
  :: d_step { IS_CALLED(DESTROY) && MAY_START(b) -> start(b, DESTROY, 0) } \
  :: d_step { IS_CALLED(OBSERVE) && MAY_START(b) -> start(b, OBSERVE, 0) }
#define GIVE_UP(b) \
  :: d_step { attempt[b].phase == PREPARING || attempt[b].phase == PROPOSED -> give_up(b) }
#define PROPOSE_BY(b, i, j, clock) :: d_step { HAS_PROMISES(b, i, j) -> propose(b, i, j, clock) }
#define PROPOSE(b) FOR_EACH_QUORUM(PROPOSE_BY, b, time) FOR_EACH_QUORUM(PROPOSE_BY, b, (time + 1))
#define COMPLETE(b) :: d_step { attempt[b].phase == PROPOSED && IS_CHOSEN(b) -> complete(b) }

proctype proposers() {
end:
  do
  FOR_EACH_BALLOT(START)
  FOR_EACH_BALLOT(GIVE_UP)
  FOR_EACH_BALLOT(PROPOSE)
  FOR_EACH_BALLOT(COMPLETE)
  od
}

/* T1: an operation lives less than S. */
inline tick() {
  time++;
  printf("time %d\n", time);
  for (k : 1 .. BALLOTS) {
    attempt[k].isOld = (attempt[k].phase == PREPARING || attempt[k].phase == PROPOSED)
  }
#ifdef READS
  isReadOld = isReading;
#endif
  NORMALISE
}

#if BALLOTS == 2
#define IS_NOBODY_OLD (!attempt[1].isOld && !attempt[2].isOld)
#elif BALLOTS == 3
#define IS_NOBODY_OLD (!attempt[1].isOld && !attempt[2].isOld && !attempt[3].isOld)
#else
#define IS_NOBODY_OLD (!attempt[1].isOld && !attempt[2].isOld && !attempt[3].isOld && !attempt[4].isOld)
#endif
#ifdef READS
#define MAY_TICK (time < LAST_TIME && IS_NOBODY_OLD && !isReadOld)
#else
#define MAY_TICK (time < LAST_TIME && IS_NOBODY_OLD)
#endif

proctype clock() {
end:
  do
  :: d_step { MAY_TICK -> tick() }
  od
}

init {
  atomic {
    earliest = LONG;
    run acceptor(0);
    run acceptor(1);
    run acceptor(2);
    run proposers();
#ifdef READS
    run reader();
#endif
    run clock()
  }
}
