"""Three tables about AudioSet's labels, the same for every model.

    EXTRA_EVIDENCE   labels that say little or are rare, and what is subtracted from their logits
    FAMILIES         labels that name one thing, of which only one becomes a tag
    UMBRELLAS        labels that stand above others: Animal above Dog

How often a certain model hears a label wrongly is in the model's own curves (`ConfidenceCurves.evidence`), which is
subtracted as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import combinations

import numpy as np

from openclap.describe.vocabulary import LabelFacts
from openclap.labels import labels

__all__ = ["EXTRA_EVIDENCE", "FAMILIES", "UMBRELLAS", "audioset_facts"]

# Logits: with 0.7 subtracted, even odds count as one to two; with 1.4, as one to four.
SIGNAL, TELLS_LITTLE, NEVER = 0.7, 1.4, 30.0
EXTRA_EVIDENCE: Mapping[str, float] = {
    # noise and test signals: everything that hisses or rings resembles them a little
    **dict.fromkeys(("Noise", "Static", "White noise", "Pink noise", "Mains hum", "Sine wave", "Chirp tone"), SIGNAL),
    # AudioSet's "channel, environment and background": how it was recorded, not what sounds
    **dict.fromkeys(
        (
            "Inside, small room",
            "Inside, large room or hall",
            "Inside, public space",
            "Outside, urban or manmade",
            "Outside, rural or natural",
            "Reverberation",
            "Echo",
            "Environmental noise",
            "Distortion",
            "Sidetone",
            "Cacophony",
            "Throbbing",
            "Vibration",
            "Television",
            "Radio",
            "Field recording",
        ),
        TELLS_LITTLE,
    ),
    # sounds without a source, and devices that are heard by what they do to others
    **dict.fromkeys(
        ("Harmonic", "Sound effect", "Pulse", "Electronic tuner", "Effects unit", "Chorus effect", "Sampler"),
        TELLS_LITTLE,
    ),
    # what music is for and how it makes one feel
    **dict.fromkeys(
        (
            "Background music",
            "Theme music",
            "Jingle (music)",
            "Soundtrack music",
            "Video game music",
            "Christmas music",
            "Dance music",
            "Wedding music",
            "Independent music",
            "Happy music",
            "Funny music",
            "Sad music",
            "Tender music",
            "Exciting music",
            "Angry music",
            "Scary music",
        ),
        TELLS_LITTLE,
    ),
    # so rare that it is mostly something common instead
    **dict.fromkeys(
        ("Mantra", "Filing (rasp)", "Heart murmur", "Change ringing (campanology)", "Battle cry"), TELLS_LITTLE
    ),
    "Silence": NEVER,  # silence is found by its level, before any label is chosen
}

# Names of one thing and of the sounds it makes, the general before the particular. The embeddings of the texts alone do
# not show that Pig and Oink are one thing.
FAMILIES: tuple[tuple[str, ...], ...] = (
    (
        "Speech",
        "Male speech, man speaking",
        "Female speech, woman speaking",
        "Child speech, kid speaking",
        "Conversation",
        "Narration, monologue",
    ),
    ("Shout", "Bellow", "Whoop", "Yell", "Battle cry", "Children shouting"),
    ("Laughter", "Baby laughter", "Giggle", "Snicker", "Belly laugh", "Chuckle, chortle"),
    ("Crying, sobbing", "Baby cry, infant cry", "Whimper", "Wail, moan"),
    (
        "Singing",
        "Choir",
        "Chant",
        "Mantra",
        "Male singing",
        "Female singing",
        "Child singing",
        "Synthetic singing",
        "Vocal music",
        "A capella",
    ),
    ("Breathing", "Wheeze", "Gasp", "Pant", "Sigh"),
    ("Walk, footsteps", "Run", "Shuffle"),
    ("Heart sounds, heartbeat", "Heart murmur"),
    ("Clapping", "Applause"),
    ("Cheering", "Crowd"),
    ("Chatter", "Hubbub, speech noise, speech babble"),
    ("Dog", "Bark", "Yip", "Bow-wow", "Whimper (dog)"),
    ("Cat", "Purr", "Meow", "Caterwaul"),
    ("Horse", "Clip-clop", "Neigh, whinny"),
    ("Cattle, bovinae", "Moo"),
    ("Pig", "Oink"),
    ("Goat", "Bleat", "Sheep"),
    ("Chicken, rooster", "Cluck", "Crowing, cock-a-doodle-doo"),
    ("Turkey", "Gobble"),
    ("Duck", "Quack"),
    ("Goose", "Honk"),
    ("Roaring cats (lions, tigers)", "Roar"),
    ("Bird", "Bird vocalization, bird call, bird song", "Chirp, tweet", "Squawk"),
    ("Pigeon, dove", "Coo"),
    ("Crow", "Caw"),
    ("Owl", "Hoot"),
    ("Rodents, rats, mice", "Mouse", "Patter"),
    ("Mosquito", "Fly, housefly", "Buzz", "Bee, wasp, etc."),
    ("Frog", "Croak"),
    ("Snake", "Hiss", "Rattle"),
    (
        "Guitar",
        "Electric guitar",
        "Acoustic guitar",
        "Steel guitar, slide guitar",
        "Tapping (guitar technique)",
        "Strum",
    ),
    ("Piano", "Electric piano"),
    ("Organ", "Electronic organ", "Hammond organ"),
    ("Drum", "Snare drum", "Rimshot", "Drum roll"),
    ("Drum", "Bass drum"),
    ("Drum kit", "Drum machine"),
    ("Cymbal", "Hi-hat"),
    ("Mallet percussion", "Marimba, xylophone", "Glockenspiel", "Vibraphone"),
    ("Bowed string instrument", "String section", "Violin, fiddle", "Cello", "Double bass"),
    ("Brass instrument", "French horn", "Trumpet", "Trombone"),
    ("Bell", "Church bell", "Change ringing (campanology)"),
    ("Chime", "Wind chime"),
    ("Wind", "Wind noise (microphone)"),
    ("Thunderstorm", "Thunder"),
    ("Rain", "Raindrop", "Rain on surface"),
    ("Stream", "Gurgling", "Trickle, dribble"),
    ("Ocean", "Waves, surf"),
    ("Splash, splatter", "Slosh"),
    ("Drip", "Plop"),
    ("Pour", "Gush", "Fill (with liquid)"),
    ("Fire", "Crackle"),
    ("Boat, Water vehicle", "Sailboat, sailing ship", "Rowboat, canoe, kayak", "Motorboat, speedboat", "Ship"),
    ("Car", "Car passing by"),
    ("Vehicle horn, car horn, honking", "Toot", "Air horn, truck horn"),
    ("Siren", "Police car (siren)", "Ambulance (siren)", "Fire engine, fire truck (siren)", "Civil defense siren"),
    ("Train", "Railroad car, train wagon", "Train wheels squealing", "Subway, metro, underground", "Clickety-clack"),
    ("Train whistle", "Train horn", "Steam whistle"),
    ("Aircraft", "Aircraft engine", "Jet engine", "Propeller, airscrew", "Fixed-wing aircraft, airplane"),
    (
        "Engine",
        "Light engine (high frequency)",
        "Medium engine (mid frequency)",
        "Heavy engine (low frequency)",
        "Engine knocking",
        "Engine starting",
        "Idling",
    ),
    ("Skidding", "Tire squeal"),
    ("Door", "Sliding door", "Slam"),
    ("Doorbell", "Ding-dong"),
    ("Knock", "Tap"),
    ("Cupboard open or close", "Drawer open or close"),
    ("Dishes, pots, and pans", "Cutlery, silverware"),
    ("Chopping (food)", "Chop"),
    ("Water tap, faucet", "Sink (filling or washing)", "Bathtub (filling or washing)"),
    ("Toothbrush", "Electric toothbrush"),
    ("Typing", "Typewriter", "Computer keyboard"),
    ("Telephone", "Telephone bell ringing", "Ringtone"),
    ("Telephone dialing, DTMF", "Dial tone", "Busy signal"),
    ("Alarm", "Buzzer", "Smoke detector, smoke alarm", "Fire alarm", "Alarm clock"),
    ("Whistling", "Whistle"),
    ("Clock", "Tick", "Tick-tock"),
    ("Ratchet, pawl", "Gears", "Pulleys"),
    ("Camera", "Single-lens reflex camera"),
    ("Filing (rasp)", "Sanding", "Rub"),
    ("Explosion", "Burst, pop", "Eruption", "Boom"),
    ("Gunshot, gunfire", "Machine gun", "Fusillade", "Artillery fire", "Cap gun"),
    ("Fireworks", "Firecracker"),
    ("Glass", "Chink, clink", "Shatter"),
    ("Breaking", "Smash, crash", "Crack", "Splinter"),
    ("Slap, smack", "Whack, thwack", "Whip"),
    ("Thump, thud", "Thunk"),
    ("Basketball bounce", "Bouncing"),
    ("Crushing", "Crumpling, crinkling", "Tearing", "Crunch"),
    ("Squeak", "Squeal", "Creak"),
    ("Beep, bleep", "Reversing beeps"),
    ("Ping", "Ding", "Clang"),
    ("Hum", "Mains hum"),
    ("Sine wave", "Chirp tone", "Harmonic"),
    ("Noise", "Environmental noise", "Static", "White noise", "Pink noise"),
)

# A label → the last of the labels below it. AudioSet lists the general before the particular, branch by branch, so all
# labels from the one to the other are below it.
UMBRELLAS: Mapping[str, str] = {
    "Hands": "Clapping",
    "Animal": "Whale vocalization",
    "Domestic animals, pets": "Caterwaul",
    "Livestock, farm animals, working animals": "Honk",
    "Fowl": "Honk",
    "Wild animals": "Whale vocalization",
    "Insect": "Bee, wasp, etc.",
    "Music": "Scary music",
    "Musical instrument": "Scratching (performance technique)",
    "Plucked string instrument": "Ukulele",
    "Keyboard (musical)": "Harpsichord",
    "Percussion": "Steelpan",
    "Wind instrument, woodwind instrument": "Clarinet",
    "Water": "Gurgling",
    "Vehicle": "Skateboard",
    "Motor vehicle (road)": "Traffic noise, roadway noise",
    "Emergency vehicle": "Fire engine, fire truck (siren)",
    "Rail transport": "Subway, metro, underground",
    "Mechanisms": "Single-lens reflex camera",
    "Tools": "Drill",
    "Liquid": "Boiling",
}


@lru_cache(maxsize=1)
def audioset_facts() -> LabelFacts:
    """What is known of the packaged list `labels/audioset.txt`, in its order."""
    names = labels("audioset")
    place = {name: i for i, name in enumerate(names)}
    same, above = np.zeros((2, len(names), len(names)), bool)
    for family in FAMILIES:
        for a, b in combinations([place[name] for name in family], 2):
            same[a, b] = same[b, a] = True
    for name, last in UMBRELLAS.items():
        above[place[name], place[name] + 1 : place[last] + 1] = True
    above[place["Emergency vehicle"], place["Siren"]] = True  # AudioSet lists it among alarms
    evidence = np.array([EXTRA_EVIDENCE.get(name, 0.0) for name in names], np.float32)
    return LabelFacts(evidence, same, above)
