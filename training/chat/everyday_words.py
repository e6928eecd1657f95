"""The things, people and places that everyday questions are about, none of them in the model's domain."""

from __future__ import annotations

from training.chat.values import listed

SUBJECTS = listed(
    "the French Revolution,quantum physics,black holes,the Roman Empire,photosynthesis,inflation,"
    "climate change,the stock market,the immune system,plate tectonics,evolution,the Cold War,"
    "machine learning,blockchain,nuclear energy,the water cycle,gravity,supply and demand,feminism,"
    "the Renaissance,DNA,vaccines,electric cars,the solar system,world history,economics,philosophy,"
    "psychology,ancient Egypt,the Vikings,the Middle Ages,Greek mythology,modern art,classical music,"
    "hip hop,the industrial revolution,artificial intelligence,space travel,renewable energy,democracy,"
    "the human brain,sleep,meditation,yoga,minimalism,veganism,the gold standard,interest rates,taxes,"
    "mortgages,insurance,cryptocurrency,the internet,social media,video games,robots,recycling,"
    "deforestation,volcanoes,earthquakes,hurricanes,dinosaurs,whales,bees,coral reefs,the moon,Mars,"
    "the speed of light,relativity,prime numbers,calculus,statistics,geometry,the periodic table,"
    "acids and bases,electricity,magnetism,the heart,bacteria,viruses,allergies,nutrition,protein,"
    "vitamins,caffeine,alcohol,marathons,chess openings,the offside rule,the Olympics,cricket,baseball,"
    "surfing,mountain climbing,sailing,photography,watercolours,knitting,woodworking,gardening,"
    "beekeeping,astrology,tarot,dreams,happiness,friendship,grief,love,marriage,parenting,education,"
    "homework,remote work,time management,leadership,negotiation,public speaking,job interviews,"
    "freelancing,retirement,immigration,the constitution,human rights,the United Nations,"
    "the European Union,the electoral college,capitalism,communism,religion,Buddhism"
)
PERSONS = listed(
    "Napoleon,Cleopatra,Albert Einstein,Marie Curie,Shakespeare,Mozart,Beethoven,Picasso,"
    "Leonardo da Vinci,Isaac Newton,Charles Darwin,Gandhi,Nelson Mandela,Abraham Lincoln,"
    "George Washington,Julius Caesar,Alexander the Great,Joan of Arc,Frida Kahlo,Van Gogh,Elvis,"
    "the Beatles,Madonna,Michael Jordan,Pele,Serena Williams,Muhammad Ali,Plato,Socrates,Aristotle,"
    "Confucius,Galileo,Nikola Tesla,Ada Lovelace,Alan Turing,Steve Jobs,Bill Gates,the president,"
    "the king of England,the pope,the prime minister,Jane Austen,Charles Dickens,Tolstoy,Homer,Virgil,"
    "Dante,Goethe,Bach,Chopin,Queen Victoria,Stalin,Churchill,Amelia Earhart,Neil Armstrong,"
    "Christopher Columbus,Marco Polo,Sherlock Holmes,Harry Potter,Santa Claus"
)
PLACES = listed(
    "Paris,Rome,Japan,Brazil,New York,London,Tokyo,Australia,Iceland,Egypt,India,China,Canada,Mexico,"
    "Peru,Kenya,Morocco,Norway,Spain,Portugal,Greece,Turkey,Thailand,Vietnam,Korea,Berlin,Vienna,Prague,"
    "Chicago,San Francisco,California,Texas,Florida,Hawaii,Alaska,Scotland,Ireland,Sicily,Crete,the Alps,"
    "the Sahara,the Amazon,Antarctica,Mount Everest,the Grand Canyon,the Nile,the Pacific,Switzerland,"
    "Sweden,Argentina,Chile,Colombia,Nigeria,South Africa,Madagascar,Indonesia,the Philippines,"
    "New Zealand,Cuba,Poland,Hungary"
)
DISHES = listed(
    "lasagna,chicken soup,pancakes,chocolate cake,sushi,tacos,curry,risotto,bread,pizza dough,"
    "an omelette,ramen,fried rice,meatballs,apple pie,hummus,paella,goulash,pad thai,brownies,"
    "banana bread,guacamole,a salad,a smoothie,beef stew,roast potatoes,cheesecake,waffles,dumplings,"
    "kimchi,pesto,mashed potatoes,scrambled eggs,grilled salmon,spaghetti carbonara,lentil soup,oatmeal,"
    "cookies,tomato sauce,a sandwich"
)
CODE_TASKS = listed(
    "reverse a string,sort a list,read a file,count words,scrape a website,send an email,parse JSON,"
    "merge two lists,find prime numbers,calculate the factorial,draw a chart,connect to a database,"
    "resize images,rename files,check for palindromes,make a todo app,play tic tac toe,"
    "compute fibonacci numbers,validate an email address,remove duplicates,generate passwords,"
    "download a page,shuffle a deck of cards,find the largest number,binary search,traverse a tree,"
    "print a pyramid,make a countdown timer,log in users,build a calculator,detect faces,"
    "convert text to speech,roll dice,flatten a nested list"
)
CODE_LANGUAGES = listed(
    "python,javascript,java,C,C++,rust,go,typescript,bash,SQL,HTML,CSS,ruby,PHP,swift,kotlin,R,perl,"
    "excel,react"
)
TROUBLES = listed(
    "a headache,a sore throat,back pain,a fever,a cough,trouble sleeping,a rash,a toothache,anxiety,"
    "a cold,knee pain,heartburn,dry skin,hay fever,low energy,a broken leg,a stomach ache,"
    "high blood pressure,a noisy neighbour,a flat tyre,no money,too much work,a bad boss,exam stress,"
    "a leaking tap,no friends,a crying baby,a job interview tomorrow,writer's block,a broken heart,"
    "too many emails,debts,a slow laptop"
)
EVENTS = listed(
    "a birthday party,a wedding,a funeral,a picnic,a job interview,a first date,a road trip,"
    "a school play,a baby shower,a housewarming,a barbecue,a camping trip,a team meeting,a conference,"
    "a family reunion,a movie night,a graduation,an anniversary,a garden party,a charity run,"
    "a weekend away,a presentation,a dinner for two,Christmas,Halloween,Easter,New Year's Eve,"
    "Valentine's Day,Mother's Day,summer camp"
)
FORMS = listed(
    "a poem,a short story,an essay,a song,a haiku,a limerick,a speech,a blog post,a cover letter,"
    "an email,a tweet,a product description,a resume,a toast,a love letter,a news article,a report,"
    "a joke,a riddle,a fairy tale,a script,a slogan,a bedtime story,a paragraph,a review,a letter,"
    "a press release,an outline,a summary,a business plan,a thank you note,a caption,an invitation,"
    "a recipe,a quiz,a lesson plan,rap lyrics"
)
WORKS = listed(
    "Hamlet,Romeo and Juliet,the Mona Lisa,Star Wars,Titanic,The Godfather,Harry Potter,The Hobbit,1984,"
    "Moby Dick,Pride and Prejudice,the Odyssey,Don Quixote,War and Peace,Frankenstein,Dracula,the Bible,"
    "The Matrix,Jurassic Park,Casablanca,the Ninth Symphony,Bohemian Rhapsody,Starry Night,The Simpsons,"
    "Game of Thrones,The Great Gatsby,Toy Story,Inception,Les Miserables,Alice in Wonderland"
)
THINGS = listed(
    "car,house,garden,laptop,phone,bike,dog,cat,kitchen,shirt,carpet,window,roof,oven,fridge,"
    "washing machine,printer,guitar,piano,camera,tent,boat,sofa,lamp,door,wall,lawn,tree,plant,rose,"
    "tomato,hair,skin,knife,shoe,jacket,ring,watch,television,toilet,sink,engine,bicycle chain,fish tank,"
    "hamster,parrot,horse,cow,baby,boss,wife,husband,brother,sister,mother,father,friend,neighbour,"
    "teacher,landlord,roommate,teenager"
)
FOODS = listed(
    "milk,cheese,sugar,salt,coffee,tea,butter,chocolate,rice,pasta,fish,beef,chicken,eggs,honey,garlic,"
    "onions,tomatoes,spinach,kale,avocado,bananas,apples,oranges,nuts,beans,tofu,wine,beer,yoghurt,flour,"
    "potatoes"
)
DOINGS = listed(
    "learn to swim,lose weight,save money,quit smoking,make friends,fall asleep faster,run a marathon,"
    "learn the guitar,get a promotion,find a job,buy a house,rent a flat,sell my car,fix a tap,"
    "paint a wall,train a puppy,grow tomatoes,tie a tie,change a tyre,iron a shirt,clean the oven,"
    "remove a wine stain,write a novel,start a business,invest money,pay off debt,get a visa,"
    "apply to college,study for an exam,raise a child,talk to girls,deal with stress,build a shed,"
    "unclog a drain,sharpen a knife,plant a tree,bake without eggs,drive in snow,get rid of ants,"
    "wash wool,pack a suitcase,ask for a raise,cut my own hair,meditate,stay motivated,read faster,"
    "remember names,stop procrastinating,become a pilot,play poker"
)
ADJECTIVES = listed(
    "big small red blue happy sad angry tired lonely bored hungry rich poor old young fast slow cheap "
    "expensive funny scary romantic famous healthy dangerous strange beautiful ugly lazy nervous brave "
    "quiet loud sweet bitter cold warm wet dry heavy light modern ancient simple complicated creative "
    "polite professional short long"
)
WORDS = listed(
    "ephemeral serendipity ubiquitous melancholy happiness resilient candid obsolete pragmatic irony "
    "metaphor entropy paradox nostalgia empathy verbose zeitgeist algorithm hypothesis democracy "
    "sovereign tariff genre although beautiful necessary rhythm colonel island house water friend "
    "mountain butterfly goodbye thunder love"
)
SENTENCES = listed(
    "The meeting was moved to Thursday because the room is taken.,My brother lives near the sea.,"
    "He dont like apples and she neither.,The quick brown fox jumps over the lazy dog.,"
    "Sales grew by ten percent last year while costs stayed flat.,I has went to the shop yesterday.,"
    "The old house stood alone at the end of the street.,We regret to inform you that the train is late.,"
    "The battery lasts two days and the screen is bright.,Their going to there house over they're.,"
    "Scientists found a new kind of frog in the rain forest.,Dear Sir please send me the invoice.,"
    "The food was cold and the waiter was rude.,I love this phone it is the best I ever had.,"
    "The cat sat on the mat and looked at the birds.,Where is the train station?,"
    "I would like a glass of water."
)
FOREIGN = (
    "¿Cuál es la capital de Francia?",
    "¿Cómo estás hoy?",
    "Escribe un poema sobre el mar.",
    "Dime un chiste",
    "Cuéntame una historia",
    "Wie wird das Wetter morgen?",
    "Was ist die Hauptstadt von Italien?",
    "Schreib mir ein Gedicht.",
    "Wer hat die Glühbirne erfunden?",
    "Kannst du mir helfen?",
    "Come si fa la pizza?",
    "Qual è il tuo film preferito?",
    "Quelle est la recette des crêpes ?",
    "Explique-moi la photosynthèse.",
    "Qual é a capital do Brasil?",
    "Hoe laat is het?",
    "Wat is de zin van het leven?",
    "Jak się masz?",
    "今日の天気は?",
    "你好,请介绍一下你自己",
    "Расскажи анекдот",
    "Hvad hedder du?",
)
