"""What the shop sells, in words: the category tree, and for each root the words that its products are named with.

May import nothing of the package.
"""

from dataclasses import dataclass

_TREE = """
Clothing CLO
  Tops
    T-Shirts: Crew Tee, V-Neck Tee, Pocket Tee; 12-45; apparel
    Shirts: Oxford Shirt, Flannel Shirt; 30-95; apparel
    Sweaters: Crewneck Sweater, Cardigan; 45-160; apparel
  Bottoms
    Jeans: Slim Jeans, Straight Jeans; 40-140; apparel
    Shorts: Chino Shorts, Running Shorts; 18-60; apparel
    Trousers: Chinos, Pleated Trousers; 40-150; apparel
  Outerwear
    Jackets: Rain Jacket, Down Jacket; 70-320; apparel
    Vests: Quilted Vest, Fleece Vest; 40-130; apparel
  Accessories
    Hats: Beanie, Bucket Hat; 12-45; color
    Scarves: Scarf, Snood; 15-80; color
Shoes SHO
  Running
    Road Running: Road Running Shoe; 60-180; shoes
    Trail Running: Trail Running Shoe; 70-200; shoes
  Casual
    Sneakers: Low-Top Sneaker, High-Top Sneaker; 45-150; shoes
    Loafers: Loafer, Boat Shoe; 50-170; shoes
  Boots
    Hiking Boots: Hiking Boot, Approach Boot; 90-280; shoes
    Winter Boots: Winter Boot, Chelsea Boot; 80-260; shoes
  Shoe Care
    Insoles: Insole, Arch Support; 9-35; shoes
    Laces: Shoelace, Boot Lace; 4-12; color
Electronics ELE
  Audio
    Headphones: Over-Ear Headphones, Earbuds; 25-380; color
    Speakers: Bluetooth Speaker, Soundbar; 30-450; color
    Microphones: USB Microphone, Lavalier Microphone; 25-240; color
  Computing
    Laptops: Ultrabook, Workstation Laptop; 550-2600; storage
    Tablets: Tablet, E-Reader; 110-1100; storage
    Storage: Portable SSD, Memory Card; 15-320; storage
  Phones
    Smartphones: Smartphone; 180-1300; storage
    Phone Cases: Phone Case, Wallet Case; 10-55; color
    Chargers: Wall Charger, Charging Pad; 12-80; color
  Cameras
    Action Cameras: Action Camera; 120-520; storage
    Tripods: Tripod, Monopod; 25-280; color
Home HOM
  Kitchen
    Cookware: Frying Pan, Saucepan, Casserole; 20-220; volume
    Knives: Chef Knife, Paring Knife; 15-180; none
    Coffee: Pour-Over Set, French Press; 18-120; volume
  Bedding
    Sheets: Sheet Set, Duvet Cover; 30-190; bed
    Pillows: Pillow, Bolster; 15-110; bed
    Blankets: Throw Blanket, Quilt; 25-160; bed
  Lighting
    Lamps: Table Lamp, Floor Lamp; 25-240; color
    Bulbs: LED Bulb, Filament Bulb; 5-35; pack
  Storage
    Baskets: Basket, Hamper; 12-70; color
    Shelves: Wall Shelf, Bookcase; 30-280; color
Beauty BEA
  Skin Care
    Cleansers: Face Cleanser, Cleansing Balm; 8-48; volume
    Moisturizers: Day Cream, Night Cream; 12-95; volume
    Sun Care: Sunscreen, After-Sun Lotion; 9-42; volume
  Hair
    Shampoo: Shampoo, Dry Shampoo; 6-38; volume
    Conditioner: Conditioner, Hair Mask; 7-42; volume
  Fragrance
    Perfume: Eau de Parfum, Eau de Toilette; 28-180; volume
    Candles: Scented Candle, Tealights; 8-60; pack
  Tools
    Brushes: Makeup Brush, Hair Brush; 6-48; pack
    Razors: Safety Razor, Razor Blades; 8-70; pack
Sports SPO
  Fitness
    Weights: Dumbbell, Kettlebell; 15-180; weight
    Yoga: Yoga Mat, Yoga Block; 12-95; color
    Bands: Resistance Band, Loop Band; 8-40; pack
  Outdoor
    Tents: Dome Tent, Tunnel Tent; 90-620; persons
    Sleeping Bags: Sleeping Bag, Bivvy Bag; 45-380; color
    Backpacks: Daypack, Trekking Backpack; 35-290; color
  Cycling
    Helmets: Road Helmet, Trail Helmet; 35-240; apparel
    Bike Lights: Front Light, Light Set; 12-110; none
    Locks: Folding Lock, Chain Lock; 18-130; none
  Water
    Swimwear: Swim Shorts, Swimsuit; 20-90; apparel
    Goggles: Swim Goggles, Dive Mask; 10-75; color
Grocery GRO
  Pantry
    Pasta: Spaghetti, Penne; 2-9; pack
    Oils: Olive Oil, Walnut Oil; 6-38; volume
    Spices: Spice Blend, Peppercorns; 3-16; pack
  Drinks
    Coffee Beans: Coffee Beans, Espresso Beans; 8-32; pack
    Tea: Green Tea, Black Tea; 4-24; pack
    Juice: Apple Juice, Tomato Juice; 3-12; volume
  Snacks
    Chocolate: Chocolate Bar, Truffles; 2-28; pack
    Nuts: Almonds, Cashews; 4-26; pack
    Biscuits: Shortbread, Oat Biscuits; 3-14; pack
Media MED
  Books
    Novels: Novel, Short Stories; 7-29; binding
    Cookbooks: Cookbook, Baking Book; 14-45; binding
    Travel: Travel Guide, Atlas; 11-38; binding
  Games
    Board Games: Board Game, Card Game; 12-85; none
    Puzzles: Jigsaw Puzzle, Brain Teaser; 9-40; none
  Digital
    E-Books: E-Book, Audiobook; 4-19; digital
    Gift Cards: Gift Card; 10-100; digital
"""

# By root: materials or styles (the middle word of a name), features, uses.
_WORDS = {
    "CLO": (
        "Organic Cotton|Merino|Linen|Recycled|Bamboo|Corduroy|Denim|Cashmere|Jersey|Brushed",
        "breathable fabric|flatlock seams|a relaxed fit|a slim fit|deep pockets|reinforced elbows|a soft collar",
        "everyday wear|the office|layering in winter|summer evenings|travel|weekends outdoors",
    ),
    "SHO": (
        "Knit|Leather|Suede|Waterproof|Canvas|Mesh|Vegan|Cushioned|Lightweight|Nubuck",
        "a cushioned midsole|a grippy rubber outsole|a padded collar|a wide toe box|reflective details|quick laces",
        "long runs|muddy trails|city walks|daily commuting|wet weather|all-day standing",
    ),
    "ELE": (
        "Pro|Wireless|Compact|Ultra|Portable|Smart|Studio|Mini|Max|Lite",
        "fast charging|an aluminium body|noise cancelling|a two-year warranty|USB-C|low latency|a long battery life",
        "remote work|travel|gaming|home studios|students|video calls",
    ),
    "HOM": (
        "Cast Iron|Ceramic|Oak|Walnut|Stainless|Glass|Cotton|Rattan|Marble|Bamboo",
        "a non-stick finish|dishwasher-safe parts|a hand-finished surface|stackable shape|a matte glaze|a solid base",
        "small kitchens|family dinners|guest rooms|open shelves|cosy evenings|first apartments",
    ),
    "BEA": (
        "Hydrating|Organic|Gentle|Vitamin C|Aloe|Charcoal|Rose|Lavender|Argan|Mineral",
        "hyaluronic acid|no added fragrance|recycled packaging|a light texture|plant extracts|a vegan formula",
        "sensitive skin|dry skin|daily care|morning routines|travel bags|curly hair",
    ),
    "SPO": (
        "Pro|Ultralight|All-Weather|Training|Expedition|Foldable|Carbon|Trail|Studio|Compact",
        "a non-slip grip|sealed seams|an adjustable strap|a storm flap|reflective piping|a carry bag",
        "beginners|multi-day treks|home workouts|club training|alpine weather|competition",
    ),
    "GRO": (
        "Organic|Single-Origin|Roasted|Salted|Dark|Wholegrain|Fair Trade|Smoked|Classic|Raw",
        "no added sugar|a resealable pouch|traceable farms|slow roasting|a rich aroma|small batches",
        "breakfast|sharing|quick dinners|gift boxes|hiking snacks|coffee breaks",
    ),
    "MED": (
        "Illustrated|Classic|Award-Winning|Collector's|Essential|Modern|Nordic|Vintage|Signed|Pocket",
        "a foreword by the author|full-colour plates|a sturdy box|clear rules|large print|a ribbon marker",
        "long journeys|rainy afternoons|family evenings|gifts|book clubs|curious readers",
    ),
}

_COLORS = ("Black", "Navy", "Olive", "Sand", "Crimson", "White", "Slate", "Teal")
_SIZES = ("XS", "S", "M", "L", "XL", "XXL")

# (attributes of one variant, name of the variant), several a scheme; a product takes neighbours in the list.
SCHEMES: dict[str, tuple[tuple[dict[str, str], str], ...]] = {
    "apparel": tuple(({"size": s, "color": c}, f"{s} / {c}") for c in _COLORS for s in _SIZES),
    "shoes": tuple(({"size": str(s), "color": c}, f"EU {s} / {c}") for c in _COLORS for s in range(37, 47)),
    "color": tuple(({"color": c}, c) for c in _COLORS),
    "storage": tuple(
        ({"storage": s, "color": c}, f"{s} / {c}") for c in _COLORS for s in ("64 GB", "128 GB", "256 GB", "512 GB")
    ),
    "volume": tuple(({"volume": f"{v} ml"}, f"{v} ml") for v in (50, 100, 200, 250, 400, 500, 750, 1000)),
    "pack": tuple(({"pack": str(n)}, f"Pack of {n}") for n in (1, 2, 3, 4, 6, 8, 10, 12)),
    "bed": tuple(({"size": s, "color": c}, f"{s} / {c}") for c in _COLORS for s in ("Single", "Double", "King")),
    "weight": tuple(({"weight": f"{w} kg"}, f"{w} kg") for w in (2, 4, 6, 8, 10, 12, 16, 20)),
    "persons": tuple(({"persons": str(n)}, f"{n} persons") for n in (1, 2, 3, 4, 5, 6)),
    "binding": tuple(({"binding": b}, b) for b in ("Hardcover", "Paperback", "Large Print", "Pocket", "Spiral", "Box")),
    "none": (),
    "digital": (),
}


@dataclass(frozen=True, slots=True)
class Leaf:
    """A category that holds products; prices in whole units of currency."""

    name: str
    parent: int
    """The number of its parent among all categories."""
    root: int
    nouns: tuple[str, ...]
    price: tuple[int, int]
    scheme: str


@dataclass(frozen=True, slots=True)
class Root:
    """A department: a three-letter code for its SKUs and the words of its products."""

    name: str
    code: str
    materials: tuple[str, ...]
    features: tuple[str, ...]
    uses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """Categories in the order of rows: (name, parent's number or -1, level 0-2); ``leaves`` by number of category."""

    categories: tuple[tuple[str, int, int], ...]
    roots: tuple[Root, ...]
    leaves: tuple[tuple[int, Leaf], ...]


def _parse(text: str) -> Tree:
    categories: list[tuple[str, int, int]] = []
    roots: list[Root] = []
    leaves: list[tuple[int, Leaf]] = []
    path = [-1, -1]
    for line in text.strip().splitlines():
        level, rest = (len(line) - len(line.lstrip())) // 2, line.strip()
        if level == 0:
            rest, code = rest.rsplit(" ", 1)
            roots.append(Root(rest, code, *(tuple(words.split("|")) for words in _WORDS[code])))
        if level == 2:
            rest, nouns, prices, scheme = (part.strip() for part in rest.replace(";", ":").split(":"))
            low, high = (int(number) for number in prices.split("-"))
            leaf = Leaf(rest, path[1], len(roots) - 1, tuple(nouns.split(", ")), (low, high), scheme)
            leaves.append((len(categories), leaf))
        categories.append((rest, path[level - 1] if level else -1, level))
        if level < 2:
            path[level] = len(categories) - 1
    return Tree(tuple(categories), tuple(roots), tuple(leaves))


TREE = _parse(_TREE)
