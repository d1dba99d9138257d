import Algorithms

/// Canonical decompositions as of Unicode 9; those of scalars that were assigned by then never
/// change.
///
/// From the Unicode Character Database (© Unicode, Inc., https://www.unicode.org/terms_of_use),
/// without Hangul, which is calculated. The standard library's table is not public.
enum Decompositions {
  /// Returns the full canonical decomposition of a scalar: itself if it has none.
  static func of(_ scalar: Unicode.Scalar) -> [Unicode.Scalar] {
    if (0xAC00...0xD7A3).contains(scalar.value) { return letters(ofHangul: scalar.value - 0xAC00) }
    guard let (base, mark) = table[scalar] else { return [scalar] }
    return of(base) + (mark.map { [$0] } ?? [])
  }

  /// Returns the two or three letters of a syllable (The Unicode Standard, section 3.12).
  private static func letters(ofHangul index: UInt32) -> [Unicode.Scalar] {
    let last = index % 28
    return [0x1100 + index / 588, 0x1161 + index % 588 / 28, last == 0 ? nil : 0x11A7 + last]
      .compactMap { $0.flatMap(Unicode.Scalar.init) }
  }

  private static let table: [Unicode.Scalar: (base: Unicode.Scalar, mark: Unicode.Scalar?)] = {
    var table: [Unicode.Scalar: (base: Unicode.Scalar, mark: Unicode.Scalar?)] = [:]
    for group in marked.unicodeScalars.split(whereSeparator: { $0 == " " || $0 == "\n" }) {
      for pair in group.dropFirst().chunks(ofCount: 2) {
        guard let scalar = pair.first, let base = pair.last else { continue }
        table[scalar] = (base, group.first)
      }
    }
    for group in single.unicodeScalars.split(whereSeparator: { $0 == " " || $0 == "\n" }) {
      for (index, base) in group.dropFirst().enumerated() {
        guard let scalar = group.first.flatMap({ Unicode.Scalar($0.value + UInt32(index)) })
        else { continue }
        table[scalar] = (base, nil)
      }
    }
    return table
  }()

  /// Groups of a mark and pairs: a scalar, and the base that it is composed of with the mark.
  private static let marked = """
    \u{300}ÀAÈEÌIÒOÙUàaèeìiòoùuǛÜǜüǸNǹnЀЕЍИѐеѝиḔĒḕēṐŌṑōẀWẁwẦÂầâẰĂằăỀÊềêỒÔồôỜƠờơỪƯừưỲYỳyἂἀἃἁἊἈἋἉἒἐἓἑ
    \u{300}ἚἘἛἙἢἠἣἡἪἨἫἩἲἰἳἱἺἸἻἹὂὀὃὁὊὈὋὉὒὐὓὑὛὙὢὠὣὡὪὨὫὩὰαὲεὴηὶιὸοὺυὼωᾺΑῈΕῊΗ῍᾿ῒϊῚΙ῝῾ῢϋῪΥ῭¨ῸΟῺΩ
    \u{301}ÁAÉEÍIÓOÚUÝYáaéeíióoúuýyĆCćcĹLĺlŃNńnŔRŕrŚSśsŹZźzǗÜǘüǴGǵgǺÅǻåǼÆǽæǾØǿø\u{344}\u{308}΅¨ΆΑΈΕ
    \u{301}ΉΗΊΙΌΟΎΥΏΩΐϊάαέεήηίιΰϋόούυώωϓϒЃГЌКѓгќкḈÇḉçḖĒḗēḮÏḯïḰKḱkḾMḿmṌÕṍõṒŌṓōṔPṕpṸŨṹũẂWẃwẤÂấâẮĂắăẾÊ
    \u{301}ếêỐÔốôỚƠớơỨƯứưἄἀἅἁἌἈἍἉἔἐἕἑἜἘἝἙἤἠἥἡἬἨἭἩἴἰἵἱἼἸἽἹὄὀὅὁὌὈὍὉὔὐὕὑὝὙὤὠὥὡὬὨὭὩ῎᾿῞῾ \u{302}ÂAÊEÎIÔO
    \u{302}ÛUâaêeîiôoûuĈCĉcĜGĝgĤHĥhĴJĵjŜSŝsŴWŵwŶYŷyẐZẑzẬẠậạỆẸệẹỘỌộọ \u{303}ÃAÑNÕOãañnõoĨIĩiŨUũuṼVṽv
    \u{303}ẪÂẫâẴĂẵăẼEẽeỄÊễêỖÔỗôỠƠỡơỮƯữưỸYỹy \u{304}ĀAāaĒEēeĪIīiŌOōoŪUūuǕÜǖüǞÄǟäǠȦǡȧǢÆǣæǬǪǭǫȪÖȫöȬÕȭõ
    \u{304}ȰȮȱȯȲYȳyӢИӣиӮУӯуḠGḡgḸḶḹḷṜṚṝṛᾱαᾹΑῑιῙΙῡυῩΥ \u{306}ĂAăaĔEĕeĞGğgĬIĭiŎOŏoŬUŭuЎУЙИйиўуӁЖӂжӐАӑа
    \u{306}ӖЕӗеḜȨḝȩẶẠặạᾰαᾸΑῐιῘΙῠυῨΥ \u{307}ĊCċcĖEėeĠGġgİIŻZżzȦAȧaȮOȯoḂBḃbḊDḋdḞFḟfḢHḣhṀMṁmṄNṅnṖPṗpṘR
    \u{307}ṙrṠSṡsṤŚṥśṦŠṧšṨṢṩṣṪTṫtẆWẇwẊXẋxẎYẏyẛſ \u{308}ÄAËEÏIÖOÜUäaëeïiöoüuÿyŸYΪΙΫΥϊιϋυϔϒЁЕЇІёеїіӒА
    \u{308}ӓаӚӘӛәӜЖӝжӞЗӟзӤИӥиӦОӧоӪӨӫөӬЭӭэӰУӱуӴЧӵчӸЫӹыḦHḧhṎÕṏõṺŪṻūẄWẅwẌXẍxẗt \u{309}ẢAảaẨÂẩâẲĂẳăẺEẻe
    \u{309}ỂÊểêỈIỉiỎOỏoỔÔổôỞƠởơỦUủuỬƯửưỶYỷy \u{30A}ÅAåaŮUůuẘwẙy \u{30B}ŐOőoŰUűuӲУӳу \u{30C}ČCčcĎDďd
    \u{30C}ĚEěeĽLľlŇNňnŘRřrŠSšsŤTťtŽZžzǍAǎaǏIǐiǑOǒoǓUǔuǙÜǚüǦGǧgǨKǩkǮƷǯʒǰjȞHȟh \u{30F}ȀAȁaȄEȅeȈIȉiȌO
    \u{30F}ȍoȐRȑrȔUȕuѶѴѷѵ \u{311}ȂAȃaȆEȇeȊIȋiȎOȏoȒRȓrȖUȗu \u{313}ἀαἈΑἐεἘΕἠηἨΗἰιἸΙὀοὈΟὐυὠωὨΩῤρ
    \u{314}ἁαἉΑἑεἙΕἡηἩΗἱιἹΙὁοὉΟὑυὙΥὡωὩΩῥρῬΡ \u{31B}ƠOơoƯUưu \u{323}ḄBḅbḌDḍdḤHḥhḲKḳkḶLḷlṂMṃmṆNṇnṚRṛr
    \u{323}ṢSṣsṬTṭtṾVṿvẈWẉwẒZẓzẠAạaẸEẹeỊIịiỌOọoỢƠợơỤUụuỰƯựưỴYỵy \u{324}ṲUṳu \u{325}ḀAḁa \u{326}ȘSșs
    \u{326}ȚTțt \u{327}ÇCçcĢGģgĶKķkĻLļlŅNņnŖRŗrŞSşsŢTţtȨEȩeḐDḑdḨHḩh \u{328}ĄAąaĘEęeĮIįiŲUųuǪOǫo
    \u{32D}ḒDḓdḘEḙeḼLḽlṊNṋnṰTṱtṶUṷu \u{32E}ḪHḫh \u{330}ḚEḛeḬIḭiṴUṵu \u{331}ḆBḇbḎDḏdḴKḵkḺLḻlṈNṉnṞRṟr
    \u{331}ṮTṯtẔZẕzẖh \u{338}↚←↛→↮↔⇍⇐⇎⇔⇏⇒∄∃∉∈∌∋∤∣∦∥≁∼≄≃≇≅≉≈≠=≢≡≭≍≮<≯>≰≤≱≥≴≲≵≳≸≶≹≷⊀≺⊁≻⊄⊂⊅⊃⊈⊆⊉⊇⊬⊢⊭⊨⊮⊩
    \u{338}⊯⊫⋠≼⋡≽⋢⊑⋣⊒⋪⊲⋫⊳⋬⊴⋭⊵\u{2ADC}⫝ \u{342}ἆἀἇἁἎἈἏἉἦἠἧἡἮἨἯἩἶἰἷἱἾἸἿἹὖὐὗὑὟὙὦὠὧὡὮὨὯὩᾶα῁¨ῆη῏᾿ῖιῗϊ῟῾ῦυ
    \u{342}ῧϋῶω \u{345}ᾀἀᾁἁᾂἂᾃἃᾄἄᾅἅᾆἆᾇἇᾈἈᾉἉᾊἊᾋἋᾌἌᾍἍᾎἎᾏἏᾐἠᾑἡᾒἢᾓἣᾔἤᾕἥᾖἦᾗἧᾘἨᾙἩᾚἪᾛἫᾜἬᾝἭᾞἮᾟἯᾠὠᾡὡᾢὢᾣὣᾤὤᾥὥ
    \u{345}ᾦὦᾧὧᾨὨᾩὩᾪὪᾫὫᾬὬᾭὭᾮὮᾯὯᾲὰᾳαᾴάᾷᾶᾼΑῂὴῃηῄήῇῆῌΗῲὼῳωῴώῷῶῼΩ \u{5B4}\u{FB1D}\u{5D9}
    \u{5B7}\u{FB1F}\u{5F2}\u{FB2E}\u{5D0} \u{5B8}\u{FB2F}\u{5D0} \u{5B9}\u{FB4B}\u{5D5}
    \u{5BC}\u{FB30}\u{5D0}\u{FB31}\u{5D1}\u{FB32}\u{5D2}\u{FB33}\u{5D3}\u{FB34}\u{5D4}
    \u{5BC}\u{FB35}\u{5D5}\u{FB36}\u{5D6}\u{FB38}\u{5D8}\u{FB39}\u{5D9}\u{FB3A}\u{5DA}
    \u{5BC}\u{FB3B}\u{5DB}\u{FB3C}\u{5DC}\u{FB3E}\u{5DE}\u{FB40}\u{5E0}\u{FB41}\u{5E1}
    \u{5BC}\u{FB43}\u{5E3}\u{FB44}\u{5E4}\u{FB46}\u{5E6}\u{FB47}\u{5E7}\u{FB48}\u{5E8}
    \u{5BC}\u{FB49}\u{5E9}\u{FB4A}\u{5EA} \u{5BF}\u{FB4C}\u{5D1}\u{FB4D}\u{5DB}\u{FB4E}\u{5E4}
    \u{5C1}\u{FB2A}\u{5E9}\u{FB2C}\u{FB49} \u{5C2}\u{FB2B}\u{5E9}\u{FB2D}\u{FB49}
    \u{653}\u{622}\u{627} \u{654}\u{623}\u{627}\u{624}\u{648}\u{626}\u{64A}\u{6C0}\u{6D5}
    \u{654}\u{6C2}\u{6C1}\u{6D3}\u{6D2} \u{655}\u{625}\u{627} \u{93C}ऩनऱरऴळ\u{958}क\u{959}ख\u{95A}ग
    \u{93C}\u{95B}ज\u{95C}ड\u{95D}ढ\u{95E}फ\u{95F}य \u{9BC}\u{9DC}ড\u{9DD}ঢ\u{9DF}য
    \u{9BE}\u{9CB}\u{9C7} \u{9D7}\u{9CC}\u{9C7} \u{A3C}\u{A33}ਲ\u{A36}ਸ\u{A59}ਖ\u{A5A}ਗ\u{A5B}ਜ
    \u{A3C}\u{A5E}ਫ \u{B3C}\u{B5C}ଡ\u{B5D}ଢ \u{B3E}\u{B4B}\u{B47} \u{B56}\u{B48}\u{B47}
    \u{B57}\u{B4C}\u{B47} \u{BBE}\u{BCA}\u{BC6}\u{BCB}\u{BC7} \u{BD7}ஔஒ\u{BCC}\u{BC6}
    \u{C56}\u{C48}\u{C46} \u{CC2}\u{CCA}\u{CC6} \u{CD5}\u{CC0}\u{CBF}\u{CC7}\u{CC6}\u{CCB}\u{CCA}
    \u{CD6}\u{CC8}\u{CC6} \u{D3E}\u{D4A}\u{D46}\u{D4B}\u{D47} \u{D57}\u{D4C}\u{D46}
    \u{DCA}\u{DDA}\u{DD9}\u{DDD}\u{DDC} \u{DCF}\u{DDC}\u{DD9} \u{DDF}\u{DDE}\u{DD9}
    \u{F72}\u{F73}\u{F71} \u{F74}\u{F75}\u{F71} \u{F80}\u{F76}\u{FB2}\u{F78}\u{FB3}\u{F81}\u{F71}
    \u{FB5}\u{F69}ཀ\u{FB9}\u{F90} \u{FB7}\u{F43}ག\u{F4D}ཌ\u{F52}ད\u{F57}བ\u{F5C}ཛ\u{F93}\u{F92}
    \u{FB7}\u{F9D}\u{F9C}\u{FA2}\u{FA1}\u{FA7}\u{FA6}\u{FAC}\u{FAB} \u{102E}ဦဥ \u{1B35}ᬆᬅᬈᬇᬊᬉᬌᬋᬎᬍᬒᬑ
    \u{1B35}\u{1B3B}\u{1B3A}\u{1B3D}\u{1B3C}\u{1B40}\u{1B3E}\u{1B41}\u{1B3F}\u{1B43}\u{1B42}
    \u{3099}がかぎきぐくげけごこざさじしずすぜせぞそだたぢちづつでてどとばはびひぶふべへぼほゔうゞゝガカギキグクゲケゴコザサジシズスゼセゾソダタヂチヅツデテドトバハビヒブフベヘボホヴウヷワ
    \u{3099}ヸヰヹヱヺヲヾヽ \u{309A}ぱはぴひぷふぺへぽほパハピヒプフペヘポホ \u{110BA}𑂚𑂙𑂜𑂛𑂫𑂥 \u{11127}\u{1112E}\u{11131}
    \u{11127}\u{1112F}\u{11132} \u{1133E}\u{1134B}\u{11347} \u{11357}\u{1134C}\u{11347}
    \u{114B0}\u{114BC}\u{114B9} \u{114BA}\u{114BB}\u{114B9} \u{114BD}\u{114BE}\u{114B9}
    \u{115AF}\u{115BA}\u{115B8}\u{115BB}\u{115B9} \u{1D165}\u{1D15E}𝅗\u{1D15F}𝅘\u{1D1BB}𝆹\u{1D1BC}𝆺
    \u{1D16E}\u{1D160}\u{1D15F}\u{1D1BD}\u{1D1BB}\u{1D1BE}\u{1D1BC} \u{1D16F}\u{1D161}\u{1D15F}
    \u{1D16F}\u{1D1BF}\u{1D1BB}\u{1D1C0}\u{1D1BC} \u{1D170}\u{1D162}\u{1D15F}
    \u{1D171}\u{1D163}\u{1D15F} \u{1D172}\u{1D164}\u{1D15F}
    """

  /// Groups of a scalar, its decomposition, and those of the scalars that follow it.
  private static let single = """
    \u{340}\u{300} \u{341}\u{301} \u{343}\u{313} \u{374}ʹ \u{37E}; \u{387}· \u{1F71}ά \u{1F73}έ
    \u{1F75}ή \u{1F77}ί \u{1F79}ό \u{1F7B}ύ \u{1F7D}ώ \u{1FBB}Ά \u{1FBE}ι \u{1FC9}Έ \u{1FCB}Ή
    \u{1FD3}ΐ \u{1FDB}Ί \u{1FE3}ΰ \u{1FEB}Ύ \u{1FEE}΅ \u{1FEF}` \u{1FF9}Ό \u{1FFB}Ώ \u{1FFD}´
    \u{2000}\u{2002} \u{2001}\u{2003} \u{2126}Ω \u{212A}K \u{212B}Å \u{2329}〈 \u{232A}〉 \u{F900}豈更車賈
    \u{F904}滑串句龜龜契金喇奈懶癩羅蘿螺裸邏樂洛烙珞落酪駱亂卵欄爛蘭鸞嵐濫藍襤拉臘蠟廊朗浪狼郎來冷勞擄櫓爐盧老蘆虜路露魯鷺碌祿綠菉錄鹿論壟弄籠聾牢磊賂雷壘屢樓淚漏累縷陋勒肋凜凌稜綾菱陵讀拏
    \u{F95C}樂諾丹寧怒率異北磻便復不泌數索參塞省葉說殺辰沈拾若掠略亮兩凉梁糧良諒量勵呂女廬旅濾礪閭驪麗黎力曆歷轢年憐戀撚漣煉璉秊練聯輦蓮連鍊列劣咽烈裂說廉念捻殮簾獵令囹寧嶺怜玲瑩羚聆鈴零靈
    \u{F9B4}領例禮醴隸惡了僚寮尿料樂燎療蓼遼龍暈阮劉杻柳流溜琉留硫紐類六戮陸倫崙淪輪律慄栗率隆利吏履易李梨泥理痢罹裏裡里離匿溺吝燐璘藺隣鱗麟林淋臨立笠粒狀炙識什茶刺切度拓糖宅洞暴輻行降見廓
    \u{FA0C}兀嗀 \u{FA10}塚 \u{FA12}晴 \u{FA15}凞猪益礼神祥福靖精羽 \u{FA20}蘒 \u{FA22}諸 \u{FA25}逸都 \u{FA2A}飯飼館鶴郞隷侮
    \u{FA31}僧免勉勤卑喝嘆器塀墨層屮悔慨憎懲敏既暑梅海渚漢煮爫琢碑社祉祈祐祖祝禍禎穀突節練縉繁署者臭艹艹著褐視謁謹賓贈辶逸難響頻恵𤋮舘 \u{FA70}並况全侀充冀勇勺喝啕喙嗢塚墳奄奔婢嬨
    \u{FA82}廒廙彩徭惘慎愈憎慠懲戴揄搜摒敖晴朗望杖歹殺流滛滋漢瀞煮瞧爵犯猪瑱甆画瘝瘟益盛直睊着磌窱節类絛練缾者荒華蝹襁覆視調諸請謁諾諭謹變贈輸遲醙鉶陼難靖韛響頋頻鬒龜𢡊𢡄𣏕㮝䀘䀹𥉉𥳐𧻓齃龎
    \u{2F800}丽丸乁𠄢你侮侻倂偺備僧像㒞𠘺免兔兤具𠔜㒹內再𠕋冗冤仌冬况𩇟凵刃㓟刻剆割剷㔕勇勉勤勺包匆北卉卑博即卽卿卿卿𠨬灰及叟𠭣叫叱吆咞吸呈周咢哶唐啓啣善善喙喫喳嗂圖嘆圗噑噴切壮城埴堍型堲
    \u{2F857}報墬𡓤売壷夆多夢奢𡚨𡛪姬娛娧姘婦㛮㛼嬈嬾嬾𡧈寃寘寧寳𡬘寿将当尢㞁屠屮峀岍𡷤嵃𡷦嵮嵫嵼巡巢㠯巽帨帽幩㡢𢆃㡼庰庳庶廊𪎒廾𢌱𢌱舁弢弢㣇𣊸𦇚形彫㣣徚忍志忹悁㤺㤜悔𢛔惇慈慌慎慌慺憎憲憤
    \u{2F8AE}憯懞懲懶成戛扝抱拔捐𢬌挽拼捨掃揤𢯱搢揅掩㨮摩摾撝摷㩬敏敬𣀊旣書晉㬙暑㬈㫤冒冕最暜肭䏙朗望朡杞杓𣏃㭉柺枅桒梅𣑭梎栟椔㮝楂榣槪檨𣚣櫛㰘次𣢧歔㱎歲殟殺殻𣪍𡴋𣫺汎𣲼沿泍汧洖派海流浩浸
    \u{2F905}涅𣴞洴港湮㴳滋滇𣻑淹潮𣽞𣾎濆瀹瀞瀛㶖灊災灷炭𠔥煅𤉣熜𤎫爨爵牐𤘈犀犕𤜵𤠔獺王㺬玥㺸㺸瑇瑜瑱璅瓊㼛甤𤰶甾𤲒異𢆟瘐𤾡𤾸𥁄㿼䀈直𥃳𥃲𥄙𥄳眞真真睊䀹瞋䁆䂖𥐝硎碌磌䃣𥘦祖𥚚𥛅福秫䄯穀穊穏
    \u{2F95C}𥥼𥪧𥪧竮䈂𥮫篆築䈧𥲀糒䊠糨糣紀𥾆絣䌁緇縂繅䌴𦈨𦉇䍙𦋙罺𦌾羕翺者𦓚𦔣聠𦖨聰𣍟䏕育脃䐋脾媵𦞧𦞵𣎓𣎜舁舄辞䑫芑芋芝劳花芳芽苦𦬼若茝荣莭茣莽菧著荓菊菌菜𦰶𦵫𦳕䔫蓱蓳蔖𧏊蕤𦼬䕝䕡𦾱𧃒䕫
    \u{2F9B3}虐虜虧虩蚩蚈蜎蛢蝹蜨蝫螆䗗蟡蠁䗹衠衣𧙧裗裞䘵裺㒻𧢮𧥦䚾䛇誠諭變豕𧲨貫賁贛起𧼯𠠄跋趼跰𠣞軔輸𨗒𨗭邔郱鄑𨜮鄛鈸鋗鋘鉼鏹鐕𨯺開䦕閷𨵷䧦雃嶲霣𩅅𩈚䩮䩶韠𩐊䪲𩒖頋頋頩𩖶飢䬳餩馧駂駾䯎𩬰
    \u{2FA0A}鬒鱀鳽䳎䳭鵧𪃎䳸𪄅𪈎𪊑麻䵖黹黾鼅鼏鼖鼻𪘀
    """
}
