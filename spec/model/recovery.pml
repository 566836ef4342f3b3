/*
 * Claims of slots, generations, and recovery of a holder that has no memory: one register beside the slots' own.
 *
 * Three slots. Acceptor #i holds slot #i from the start, in generation 1. Each claim is made by a process of its own, the
 * standby of the same number, that remembers nothing: one that never held a slot, was fenced, or crashed and started
 * again. A crash is a silence from then on: process numbers are not used again. So any number of voters may
 * lose their memory, at any time; with most of them nothing can be recovered, and nothing happens any more.
 *
 * A vector is the set of the decided claims that its process knows: of each slot the highest of them holds it, or
 * acceptor #i if there is none. `held` is the set of all vectors that anybody ever had. Any process may hear of any of
 * them, now, later, again or never, and whoever starts something may have any of them.
 *
 * The network is the set of all messages ever sent. An attempt begins with its first promise and proposes with its second:
 * nobody could tell whether its prepare was sent earlier, or its accept later, and a promise that nobody counts forbids,
 * but makes nothing possible. For the same reason nobody gives up.
 *
 * A ballot is issued once. Those of the register are 1..BALLOTS, those of claims, of whatever slot, 1..CLAIMS; they start
 * in any order. Of three slots a claim takes all others', and so does a recovery.
 */
#ifndef BALLOTS
#define BALLOTS 2
#endif
#ifndef CLAIMS
#define CLAIMS 2
#endif
#define SLOTS 3
#define PROCESSES (SLOTS + CLAIMS)

/* Phases of an attempt, and of a claim. */
#define UNUSED 0
#define PREPARING 1
#define SENT 2

/* States of a process. */
#define OUT 0
#define RECOVERING 1
#define VOTING 2
#define FENCED 3

/* The process that makes a claim. */
#define STANDBY(c) (SLOTS - 1 + (c))
#define CLAIM_OF(p) ((p) - SLOTS + 1)

typedef Attempt {
  byte phase;
  byte vector;          /* V2: all that is counted is counted under this one */
  byte ancestors;       /* ghost: ballots of the values that this one was built on */
};

typedef Claim {
  byte phase;
  byte vector;
  byte generation;      /* of the holder that it names, where it found no newer one */
  byte value;           /* the claim whose claimant its accept names: itself, or one that it found */
};

/* One process. What belongs to a slot is in its first holder's column: so columns of equal slots can be exchanged. */
typedef Process {
  byte state;
  byte vector;
  byte promised;        /* the register's record */
  byte value;
  byte answer[BALLOTS + 1];  /* the `promised` messages of attempts that have one only: what was held, the vector */
  byte accepted[BALLOTS + 1];  /* the `accepted` messages, with the vector */
  byte claimsPromised;  /* the slots' records: sets of claims promised and accepted, the highest of each slot */
  byte claimsAccepted;
  byte claimAnswer[CLAIMS + 1];
  byte claimVotes;      /* set of claims whose accept was answered */
  byte claims;          /* of the slot: set of its claims */
  byte readBy;          /* of the slot: set of the claimants that have read out its holder */
};

Attempt attempt[BALLOTS + 1];
Claim claim[CLAIMS + 1];
Process processes[PROCESSES];
byte held;              /* set of vectors */
byte chosen;            /* ghost: set of ballots */
byte decided;           /* ghost: set of claims whose claimant was chosen */

/* As in acceptor.pml. */
#ifdef SHORTEST
#define scratch byte
#else
#define scratch hidden byte
#endif
scratch k;
scratch n;
scratch other;
scratch found;
scratch newest;
scratch merged;
scratch isCertain;

#define BIT(b) (1 << ((b) - 1))
#define HAS(set, b) (((set) >> ((b) - 1)) & 1)
#define MAX(x, y) ((x) > (y) -> (x) : (y))
#define HIGHEST(set) ((set) >= 4 -> 3 : ((set) >= 2 -> 2 : (set)))
#define IS_HELD(vector) (((held) >> (vector)) & 1)

/* An answer: what was held, and the vector that it was given under. 0: none. */
#define ANSWER(p, what) (128 | (processes[p].vector << 4) | (what))
#define WHAT(answer) ((answer) & 15)
#define VECTOR(answer) (((answer) >> 4) & 7)

/* The slot that a process holds, has claimed, or held. */
#define SLOT(p) \
  ((p) < SLOTS -> (p) : \
   (HAS(processes[0].claims, CLAIM_OF(p)) -> 0 : (HAS(processes[1].claims, CLAIM_OF(p)) -> 1 : 2)))
/* Whether a vector names the process as its slot's holder. */
#define NAMES(v, p) \
  ((p) < SLOTS -> ((v) & processes[p].claims) == 0 : ((v) & processes[SLOT(p)].claims) >> ((p) - SLOTS) == 1)
/* The generation of a slot's holder in a vector. */
#define GENERATION(v, s) \
  (((v) & processes[s].claims) == 0 -> 1 : claim[HIGHEST((v) & processes[s].claims)].generation)

c_code {
  extern int readtrail;
  static void exchange(int i, int j) {
    if (memcmp(&now.processes[i], &now.processes[j], sizeof(now.processes[0])) > 0) {
      struct Process column = now.processes[i];
      now.processes[i] = now.processes[j];
      now.processes[j] = column;
      if (readtrail) printf("exchange #%d #%d\n", i + 1, j + 1);
    }
  }
}
#ifdef SHORTEST
#define CLEAR now.k = now.n = now.other = now.found = now.newest = now.merged = now.isCertain = 0
#else
#define CLEAR
#endif
#define NORMALISE c_code { CLEAR; exchange(0, 1); exchange(1, 2); exchange(0, 1); }

/* A property. What breaks it is said by the replay. */
#define PROPERTY(condition, broken) if :: (condition) :: else -> printf(broken); assert(false) fi
/* One that a defect may break at once: left out where it is to be seen what follows. */
#ifdef AGREEMENT_ONLY
#define NEARER(condition, broken) skip
#else
#define NEARER(condition, broken) PROPERTY(condition, broken)
#endif

/* How a process is told of. */
inline say(p) {
  if
  :: p < SLOTS -> printf("acceptor #%d: ", p + 1)
  :: else -> printf("standby %d (slot #%d): ", p - SLOTS + 1, SLOT(p) + 1)
  fi
}

/* V1: an acceptor takes requests under its own vector only. V3 goes with it: who votes is named by its own vector, so
   who answers is named by the asker's. */
#ifdef STALE_GENERATION_COUNTED
#define IS_SAME(v, w) true
#else
#define IS_SAME(v, w) ((v) == (w))
#endif

/* V2: an attempt is counted under one vector, and its accept goes out under that one. */
#ifdef COUNTED_ACROSS_VECTORS
#define IS_COUNTED(v, w) (((v) & ~(w)) == 0)
#define MOVE(b, p) attempt[b].vector = processes[p].vector
#else
#define IS_COUNTED(v, w) IS_SAME(v, w)
#define MOVE(b, p) skip
#endif
#ifdef STAMPED_LATE
#define IS_TAKEN(v, w) (((v) & ~(w)) == 0)
#else
#define IS_TAKEN(v, w) IS_COUNTED(v, w)
#endif

/* M4: whoever recovers answers nothing; M1: nor is it a source. */
#ifdef VOTE_BEFORE_RECOVERY
#define ANSWERS(p) (processes[p].state == VOTING || processes[p].state == RECOVERING)
#else
#define ANSWERS(p) (processes[p].state == VOTING)
#endif

/* P8: an undecided claim fences nobody. P9: whoever recovers does not vote. */
inline check_voter(p) {
  NEARER((processes[p].vector & ~decided) == 0, "broken: an answer under a vector with an undecided claim\n");
  NEARER(processes[p].state == VOTING, "broken: an answer before recovery is complete\n")
}

/* P10: a fenced generation is in no quorum with one that knows better. */
inline check_quorum(p, q) {
  NEARER(NAMES(merged, p) && NAMES(merged, q), "broken: a fenced holder is counted with one that knows it is fenced\n")
}

/* P11: of those that vote under one vector, no majority lacks a promise that was counted. */
inline check_promises() {
#ifndef AGREEMENT_ONLY
  for (k : 1 .. BALLOTS) {
    if
    :: attempt[k].phase == SENT ->
      for (n : 0 .. PROCESSES - 1) {
        if
        :: processes[n].state == VOTING && processes[n].promised < k ->
          for (other : n + 1 .. PROCESSES - 1) {
            PROPERTY(!(processes[other].state == VOTING && processes[other].promised < k &&
              processes[other].vector == processes[n].vector),
              "broken: a majority that lacks a promise that was counted\n")
          }
        :: else
        fi
      }
    :: else
    fi
  }
#endif
  skip
}

#define ACCEPTED(p, b) (processes[p].accepted[b] != 0)
#define HOLDS(p, b) (processes[p].state == VOTING && processes[p].value == b)

/* P3: what is chosen at a higher ballot builds on what is chosen at a lower one. Chosen is what two of different slots
   have accepted; and what two that vote under one vector hold, though one was given it: who asks them takes it for
   chosen. */
inline find_chosen(b) {
  for (n : 0 .. PROCESSES - 2) {
    for (other : n + 1 .. PROCESSES - 1) {
      if
      :: ACCEPTED(n, b) && ACCEPTED(other, b) && SLOT(n) != SLOT(other) ->
        chosen = chosen | BIT(b);
        merged = VECTOR(processes[n].accepted[b]) | VECTOR(processes[other].accepted[b]);
        check_quorum(n, other)
      :: HOLDS(n, b) && HOLDS(other, b) && processes[n].vector == processes[other].vector && SLOT(n) != SLOT(other) ->
        chosen = chosen | BIT(b)
      :: else
      fi
    }
  }
}

inline check_chosen() {
  newest = 0;
  for (k : 1 .. BALLOTS) {
    find_chosen(k);
    if
    :: HAS(chosen, k) ->
      PROPERTY(newest == 0 || HAS(attempt[k].ancestors, newest),
        "broken: two chosen values, and the higher does not build on the lower\n");
      newest = k
    :: else
    fi
  }
}

/* The register. */

#define MAY_PROMISE(p, b) \
  (ANSWERS(p) && b > processes[p].promised && processes[p].answer[b] == 0 && \
   (attempt[b].phase == UNUSED || (attempt[b].phase == PREPARING && IS_COUNTED(attempt[b].vector, processes[p].vector))))

inline promise(p, b) {
  check_voter(p);
  other = PROCESSES;
  for (n : 0 .. PROCESSES - 1) {
    if
    :: processes[n].answer[b] != 0 && SLOT(n) != SLOT(p) -> other = n
    :: else
    fi
  }
  if
  :: attempt[b].phase == UNUSED ->
    printf("operation %d: prepare %d under vector %d\n", b, b, processes[p].vector);
    attempt[b].phase = PREPARING;
    attempt[b].vector = processes[p].vector
  :: else -> MOVE(b, p)
  fi;
  say(p);
  printf("promised %d, holds %d\n", b, processes[p].value);
  processes[p].promised = b;
  if
  :: other == PROCESSES -> processes[p].answer[b] = ANSWER(p, processes[p].value)
  :: else ->
    found = MAX(processes[p].value, WHAT(processes[other].answer[b]));
    printf("operation %d: finds %d, accept %d\n", b, found, b);
    merged = processes[p].vector | VECTOR(processes[other].answer[b]);
    check_quorum(p, other);
    for (n : 0 .. PROCESSES - 1) {
      processes[n].answer[b] = 0
    }
    attempt[b].phase = SENT;
    if
    :: found != 0 -> attempt[b].ancestors = attempt[found].ancestors | BIT(found)
    :: else
    fi;
    check_promises()
  fi;
  NORMALISE
}

/* A repeated accept of what is held is answered whatever was promised; what is held may come from a source. The code takes
 * that for no repetition, which is stricter: it shows with copying and with five slots, which this model has not. */
#define MAY_ACCEPT(p, b) \
  (ANSWERS(p) && attempt[b].phase == SENT && IS_TAKEN(attempt[b].vector, processes[p].vector) && !ACCEPTED(p, b) && \
   (b >= processes[p].promised || b == processes[p].value))

inline accept(p, b) {
  check_voter(p);
  MOVE(b, p);
  say(p);
  printf("accepted %d\n", b);
  processes[p].promised = MAX(processes[p].promised, b);
  processes[p].value = b;
#ifdef STAMPED_LATE
  /* Nobody counts it: the proposer has left that vector. */
  if
  :: attempt[b].vector == processes[p].vector -> processes[p].accepted[b] = ANSWER(p, 0)
  :: else
  fi;
#else
  processes[p].accepted[b] = ANSWER(p, 0);
#endif
  check_chosen();
  NORMALISE
}

/* Claims. */

/* C1: the voters of a slot's claims are the holders of the others. */
#ifdef CLAIMS_BY_ANY_MAJORITY
#define IS_VOTER_FOR(p, s) true
#else
#define IS_VOTER_FOR(p, s) (SLOT(p) != s)
#endif

#define MAY_PROMISE_CLAIM(p, c, s) \
  (ANSWERS(p) && IS_VOTER_FOR(p, s) && processes[p].claimAnswer[c] == 0 && \
   ((processes[p].claimsPromised & processes[s].claims) >> (c - 1)) == 0 && \
   (claim[c].phase == UNUSED || \
    (claim[c].phase == PREPARING && HAS(processes[s].claims, c) && IS_SAME(claim[c].vector, processes[p].vector))))

/* C3: chosen, it is in the claimant's vector. */
inline decide(c, s) {
  if
  :: !HAS(decided, claim[c].value) ->
    printf("claim %d: standby %d is chosen\n", c, claim[c].value);
    for (k : 1 .. CLAIMS) {
      /* P13: a generation has one holder, and the later decided is the newer. */
      PROPERTY(!(HAS(decided, k) && HAS(processes[s].claims, k)) ||
        (k < claim[c].value && claim[k].generation < claim[claim[c].value].generation),
        "broken: two holders of one generation\n")
    }
    decided = decided | BIT(claim[c].value)
  :: else
  fi;
  held = held | (1 << (claim[c].vector | BIT(claim[c].value)))
}

inline promise_claim(p, c, s) {
  check_voter(p);
  other = PROCESSES;
  for (n : 0 .. PROCESSES - 1) {
    if
    :: processes[n].claimAnswer[c] != 0 -> other = n
    :: else
    fi
  }
  found = HIGHEST(processes[p].claimsAccepted & processes[s].claims);
  processes[p].claimsPromised = (processes[p].claimsPromised & ~processes[s].claims) | BIT(c);
  if
  :: other == PROCESSES ->
    printf("claim %d: prepare %d for slot #%d under vector %d\n", c, c, s + 1, processes[p].vector);
    say(p);
    printf("promised claim %d, holds %d\n", c, found);
    claim[c].phase = PREPARING;
    claim[c].vector = processes[p].vector;
    processes[s].claims = processes[s].claims | BIT(c);
    processes[p].claimAnswer[c] = ANSWER(p, found)
  :: else ->
    say(p);
    printf("promised claim %d, holds %d\n", c, found);
    merged = processes[p].vector | VECTOR(processes[other].claimAnswer[c]);
    check_quorum(p, other);
    isCertain = (found == WHAT(processes[other].claimAnswer[c]));
    found = MAX(found, WHAT(processes[other].claimAnswer[c]));
    processes[other].claimAnswer[c] = 0;
    claim[c].phase = SENT;
    newest = GENERATION(claim[c].vector, s);
    other = (found == 0 -> 1 : claim[claim[found].value].generation);
    /* P12: what was decided is found. */
    NEARER(other >= newest, "broken: a decided claim is not found\n");
    if
    /* C1: a newer generation than is known is left, and settled. */
    :: other > newest ->
      claim[c].value = claim[found].value;
      printf("claim %d: finds %d, accept %d for standby %d\n", c, found, c, claim[c].value);
      if
      /* What both hold is chosen, whether they accepted it or were given it. */
      :: isCertain -> decide(c, s)
      :: else
      fi
    :: else ->
      claim[c].value = c;
      claim[c].generation = newest + 1;
      printf("claim %d: finds %d, accept %d for generation %d\n", c, found, c, claim[c].generation)
    fi
  fi;
  NORMALISE
}

#define MAY_ACCEPT_CLAIM(p, c, s) \
  (ANSWERS(p) && claim[c].phase == SENT && HAS(processes[s].claims, c) && IS_VOTER_FOR(p, s) && \
   IS_SAME(claim[c].vector, processes[p].vector) && !HAS(processes[p].claimVotes, c) && \
   (((processes[p].claimsPromised & processes[s].claims) >> c) == 0 || \
    HIGHEST(processes[p].claimsAccepted & processes[s].claims) == c))

inline accept_claim(p, c, s) {
  check_voter(p);
  say(p);
  printf("accepted claim %d: standby %d\n", c, claim[c].value);
  if
  :: ((processes[p].claimsPromised & processes[s].claims) >> c) == 0 ->
    processes[p].claimsPromised = (processes[p].claimsPromised & ~processes[s].claims) | BIT(c)
  :: else
  fi;
  processes[p].claimsAccepted = (processes[p].claimsAccepted & ~processes[s].claims) | BIT(c);
  processes[p].claimVotes = processes[p].claimVotes | BIT(c);
  /* C3: that changes no vector. */
#ifdef UNDECIDED_CLAIM_FENCES
  processes[p].vector = processes[p].vector | BIT(claim[c].value);
  held = held | (1 << processes[p].vector);
#endif
  other = 0;
  for (n : 0 .. PROCESSES - 1) {
    other = other + HAS(processes[n].claimVotes, c)
  }
  if
  :: other >= 2 -> decide(c, s)
  :: else
  fi;
  NORMALISE
}

/* Views. */

#define MAY_HEAR(p, v) \
  (IS_HELD(v) && (processes[p].state == VOTING || processes[p].state == RECOVERING) && \
   (processes[p].vector | v) != processes[p].vector)

inline start_over(p) {
  for (n : 0 .. SLOTS - 1) {
    processes[n].readBy = processes[n].readBy & ~BIT(CLAIM_OF(p))
  }
  processes[p].promised = 0;
  processes[p].value = 0;
  processes[p].claimsPromised = 0;
  processes[p].claimsAccepted = 0
}

inline hear(p, v) {
  say(p);
  printf("hears of vector %d\n", v);
  processes[p].vector = processes[p].vector | v;
  held = held | (1 << processes[p].vector);
  if
  /* V4: whoever is fenced stops, and forgets. */
  :: !NAMES(processes[p].vector, p) ->
    say(p);
    printf("is fenced\n");
    processes[p].state = FENCED;
    processes[p].vector = 0;
    processes[p].promised = 0;
    processes[p].value = 0;
    processes[p].claimsPromised = 0;
    processes[p].claimsAccepted = 0;
    for (n : 0 .. SLOTS - 1) {
      if
      :: p >= SLOTS -> processes[n].readBy = processes[n].readBy & ~BIT(CLAIM_OF(p))
      :: else
      fi
    }
#ifndef TRANSFER_NOT_RESTARTED
  /* M2: under one and the same vector. */
  :: NAMES(processes[p].vector, p) && processes[p].state == RECOVERING -> start_over(p)
#endif
  :: else
  fi;
#ifdef STANDSTILL
  /* Not promised: nobody crashed, and still there is no majority left to recover from. */
  n = 0;
  for (k : 0 .. PROCESSES - 1) {
    n = n + (processes[k].state == VOTING)
  }
  PROPERTY(n >= 2, "broken: too few vote for anybody to recover, though nobody crashed\n");
#endif
  check_promises();
  check_chosen();
  NORMALISE
}

/* A claimant finds itself named. */
#define MAY_TAKE_UP(p, v) \
  (p >= SLOTS && processes[p].state == OUT && IS_HELD(v) && HAS(v, CLAIM_OF(p)) && \
   NAMES(v | claim[CLAIM_OF(p)].vector, p))

inline take_up(p, v) {
  processes[p].state = RECOVERING;
  processes[p].vector = v | claim[CLAIM_OF(p)].vector;
  held = held | (1 << processes[p].vector);
  say(p);
  printf("holds the slot, vector %d, recovers\n", processes[p].vector);
  NORMALISE
}

/* M1: a source answers under the claimant's vector only: that is the barrier. */
#ifdef BARRIER_AFTER_READ_OUT
#define IS_BARRED(p, q) true
#else
#define IS_BARRED(p, q) (processes[p].vector == processes[q].vector)
#endif
#define MAY_READ_OUT(c, q) \
  (q != STANDBY(c) && processes[STANDBY(c)].state == RECOVERING && ANSWERS(q) && IS_BARRED(STANDBY(c), q) && \
   NAMES(processes[STANDBY(c)].vector, q) && SLOT(q) != SLOT(STANDBY(c)) && !HAS(processes[SLOT(q)].readBy, c))

#ifdef RECOVERY_FROM_A_MINORITY
#define SOURCES 1
#else
#define SOURCES 2
#endif

inline read_out(c, q) {
  printf("standby %d: reads ", c);
  say(q);
  printf("promised %d, holds %d\n", processes[q].promised, processes[q].value);
  processes[SLOT(q)].readBy = processes[SLOT(q)].readBy | BIT(c);
  /* M3: the highest promise, the value of the highest ballot. */
#ifdef PROMISES_NOT_TRANSFERRED
  if
  :: processes[q].value != 0 ->
    processes[STANDBY(c)].promised = MAX(processes[STANDBY(c)].promised, processes[q].promised)
  :: else
  fi;
#else
  processes[STANDBY(c)].promised = MAX(processes[STANDBY(c)].promised, processes[q].promised);
#endif
  processes[STANDBY(c)].value = MAX(processes[STANDBY(c)].value, processes[q].value);
  for (n : 0 .. SLOTS - 1) {
    found = processes[STANDBY(c)].claimsAccepted & processes[n].claims;
    newest = processes[q].claimsAccepted & processes[n].claims;
    processes[STANDBY(c)].claimsAccepted =
      (processes[STANDBY(c)].claimsAccepted & ~processes[n].claims) | MAX(found, newest);
    found = processes[STANDBY(c)].claimsPromised & processes[n].claims;
    newest = processes[q].claimsPromised & processes[n].claims;
    processes[STANDBY(c)].claimsPromised =
      (processes[STANDBY(c)].claimsPromised & ~processes[n].claims) | MAX(found, newest)
  }
  if
  :: HAS(processes[0].readBy, c) + HAS(processes[1].readBy, c) + HAS(processes[2].readBy, c) >= SOURCES ->
    printf("standby %d: votes, promised %d, holds %d\n", c, processes[STANDBY(c)].promised, processes[STANDBY(c)].value);
    processes[STANDBY(c)].state = VOTING;
    for (n : 0 .. SLOTS - 1) {
      processes[n].readBy = processes[n].readBy & ~BIT(c)
    }
    check_promises();
    check_chosen()
  :: else
  fi;
  NORMALISE
}

/* Choices, spelled out: within a d_step the first one possible would be taken. */
#if BALLOTS == 1
#define FOR_EACH_BALLOT(step) step(1)
#elif BALLOTS == 2
#define FOR_EACH_BALLOT(step) step(1) step(2)
#else
#define FOR_EACH_BALLOT(step) step(1) step(2) step(3)
#endif

#if CLAIMS == 1
#define FOR_EACH_CLAIM(step) step(1)
#define FOR_EACH_VECTOR(step) step(1)
#elif CLAIMS == 2
#define FOR_EACH_CLAIM(step) step(1) step(2)
#define FOR_EACH_VECTOR(step) step(1) step(2) step(3)
#else
#define FOR_EACH_CLAIM(step) step(1) step(2) step(3)
#define FOR_EACH_VECTOR(step) step(1) step(2) step(3) step(4) step(5) step(6) step(7)
#endif

#define PROMISE(b) :: d_step { MAY_PROMISE(me, b) -> promise(me, b) }
#define ACCEPT(b) :: d_step { MAY_ACCEPT(me, b) -> accept(me, b) }
#define PROMISE_CLAIM_OF(c, s) :: d_step { MAY_PROMISE_CLAIM(me, c, s) -> promise_claim(me, c, s) }
#define PROMISE_CLAIM(c) PROMISE_CLAIM_OF(c, 0) PROMISE_CLAIM_OF(c, 1) PROMISE_CLAIM_OF(c, 2)
#define ACCEPT_CLAIM_OF(c, s) :: d_step { MAY_ACCEPT_CLAIM(me, c, s) -> accept_claim(me, c, s) }
#define ACCEPT_CLAIM(c) ACCEPT_CLAIM_OF(c, 0) ACCEPT_CLAIM_OF(c, 1) ACCEPT_CLAIM_OF(c, 2)
#define HEAR(v) :: d_step { MAY_HEAR(me, v) -> hear(me, v) }
#define READ_OUT(c) :: d_step { MAY_READ_OUT(c, me) -> read_out(c, me) }
#define TAKE_UP(v) :: d_step { MAY_TAKE_UP(me, v) -> take_up(me, v) }

proctype process(byte me) {
end:
  do
  FOR_EACH_BALLOT(PROMISE)
  FOR_EACH_BALLOT(ACCEPT)
  FOR_EACH_CLAIM(PROMISE_CLAIM)
  FOR_EACH_CLAIM(ACCEPT_CLAIM)
  FOR_EACH_VECTOR(HEAR)
  FOR_EACH_VECTOR(TAKE_UP)
  FOR_EACH_CLAIM(READ_OUT)
  od
}

init {
  atomic {
    held = 1;
    processes[0].state = VOTING;
    processes[1].state = VOTING;
    processes[2].state = VOTING;
    run process(0);
    run process(1);
    run process(2);
    run process(3);
#if CLAIMS > 1
    run process(4);
#endif
#if CLAIMS > 2
    run process(5);
#endif
  }
}
